package traffic

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// HTTPRoute is the kind of the route, of the Gateway API since its version 1.0. The operator goes without the Go types of
// that project: it sets a dozen fields that are stable.
var HTTPRoute = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}

// PreviewValue is what the preview header must hold to lead to the canary.
const PreviewValue = "canary"

// CanaryName is the name of the canary's Deployment and Service, from that of the Microservice.
func CanaryName(microservice string) string { return microservice + "-canary" }

// Route is the HTTPRoute of one environment.
type Route struct {
	Owner     ownership.Owner
	Namespace string
	// Gateway is what the user wants of it.
	Gateway v1alpha1.GatewaySpec
	// Port of both Services.
	Port int32
	// Canary says whether the canary's Service is there and has pods. Without it the route does not name it: a gateway answers
	// requests for a Service that it cannot find with errors.
	Canary bool
	// Weight of the canary, in percent; without a canary it has no meaning.
	Weight int32
}

// Manifest returns the HTTPRoute. It sets every field that has a default, so that what is read back is what was written.
func (r Route) Manifest() (manifest.Manifest, error) {
	name := r.Owner.Microservice.Name
	route := &unstructured.Unstructured{Object: map[string]any{}}
	route.SetGroupVersionKind(HTTPRoute)
	route.SetName(name)
	route.SetNamespace(r.Namespace)
	route.SetLabels(r.Owner.Labels(ownership.ComponentAPI))
	spec := map[string]any{"parentRefs": r.parents(), "rules": r.rules()}
	if len(r.Gateway.Hostnames) > 0 {
		var hostnames []any
		for _, hostname := range r.Gateway.Hostnames {
			hostnames = append(hostnames, hostname)
		}
		spec["hostnames"] = hostnames
	}
	route.Object["spec"] = spec
	return manifest.New(route)
}

func (r Route) parents() []any {
	var out []any
	for _, reference := range r.Gateway.ParentRefs {
		parent := map[string]any{"group": HTTPRoute.Group, "kind": "Gateway", "name": reference.Name}
		if reference.Namespace != "" {
			parent["namespace"] = reference.Namespace
		}
		if reference.SectionName != "" {
			parent["sectionName"] = reference.SectionName
		}
		out = append(out, parent)
	}
	return out
}

// rules are the split, and before it the way around it. A match with a header is more specific and wins wherever it stands;
// it stands first for the reader.
func (r Route) rules() []any {
	stable, canary := r.Owner.Microservice.Name, CanaryName(r.Owner.Microservice.Name)
	if !r.Canary {
		return []any{rule(match(), r.backend(stable, 100))}
	}
	weight := min(max(r.Weight, 0), 100)
	split := rule(match(), r.backend(stable, 100-weight), r.backend(canary, weight))
	if r.Gateway.PreviewHeader == "" {
		return []any{split}
	}
	preview := match()
	preview["headers"] = []any{map[string]any{"type": "Exact", "name": r.Gateway.PreviewHeader, "value": PreviewValue}}
	return []any{rule(preview, r.backend(canary, 100)), split}
}

func rule(match map[string]any, backends ...any) map[string]any {
	return map[string]any{"matches": []any{match}, "backendRefs": backends}
}

// match is every request.
func match() map[string]any {
	return map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}
}

func (r Route) backend(service string, weight int32) any {
	return map[string]any{
		"group": "", "kind": "Service", "name": service, "port": int64(r.Port), "weight": int64(weight),
	}
}

// RouteWeight returns the share of the requests that a live HTTPRoute gives to the canary, in percent; 0 for nil. Whether
// the Gateways have taken it is what Route.Waiting tells.
func RouteWeight(live *unstructured.Unstructured) int32 {
	if live == nil {
		return 0
	}
	var route struct {
		Spec struct {
			Rules []struct {
				Matches     []struct{ Headers []any }
				BackendRefs []struct {
					Name   string
					Weight int64
				}
			}
		}
	}
	if !decode(live, &route) {
		return 0
	}
	canary := CanaryName(live.GetName())
	for _, rule := range route.Spec.Rules {
		if len(rule.Matches) > 0 && len(rule.Matches[0].Headers) > 0 {
			continue // the preview
		}
		var all, share int64
		for _, backend := range rule.BackendRefs {
			all += backend.Weight
			if backend.Name == canary {
				share += backend.Weight
			}
		}
		if share > 0 {
			return int32(max(1, share*100/all)) //nolint:gosec // a percentage
		}
	}
	return 0
}
