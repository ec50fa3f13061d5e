package traffic

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

func route(changes ...func(*Route)) Route {
	out := Route{
		Owner: staging, Namespace: "default", Port: 80, Canary: true, Weight: 20,
		Gateway: v1alpha1.GatewaySpec{
			ParentRefs:    []v1alpha1.GatewayReference{{Name: "public"}, {Name: "private", Namespace: "infra", SectionName: "https"}},
			Hostnames:     []string{"scores.example.com", "*.example.org"},
			PreviewHeader: "X-Preview",
		},
	}
	for _, change := range changes {
		change(&out)
	}
	return out
}

func rendered(t testing.TB, r Route) *unstructured.Unstructured {
	t.Helper()
	m, err := r.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Object()
}

// typed reads a route by the types of the Gateway API, none of its fields unknown.
func typed(t testing.TB, object *unstructured.Unstructured) gatewayv1.HTTPRoute {
	t.Helper()
	var out gatewayv1.HTTPRoute
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &out, true); err != nil {
		t.Fatal(err)
	}
	return out
}

// splits are the rules of a route in short.
func splits(route gatewayv1.HTTPRoute) (out []map[string]int32) {
	for _, rule := range route.Spec.Rules {
		split := map[string]int32{}
		for _, match := range rule.Matches {
			for _, header := range match.Headers {
				split[string(header.Name)+"="+header.Value] = -1
			}
		}
		for _, backend := range rule.BackendRefs {
			split[string(backend.Name)] = *backend.Weight
		}
		out = append(out, split)
	}
	return out
}

func TestRouteSplitsByWeight(t *testing.T) {
	preview := map[string]int32{"X-Preview=canary": -1, "scores-canary": 100}
	for name, tc := range map[string]struct {
		route  Route
		want   []map[string]int32
		weight int32
	}{
		"20 percent":          {route(), []map[string]int32{preview, {"scores": 80, "scores-canary": 20}}, 20},
		"nothing but preview": {route(func(r *Route) { r.Weight = 0 }), []map[string]int32{preview, {"scores": 100, "scores-canary": 0}}, 0},
		"all":                 {route(func(r *Route) { r.Weight = 100 }), []map[string]int32{preview, {"scores": 0, "scores-canary": 100}}, 100},
		"more than all":       {route(func(r *Route) { r.Weight = 101 }), []map[string]int32{preview, {"scores": 0, "scores-canary": 100}}, 100},
		"without a canary":    {route(func(r *Route) { r.Canary = false }), []map[string]int32{{"scores": 100}}, 0},
		"without a preview":   {route(func(r *Route) { r.Gateway.PreviewHeader = "" }), []map[string]int32{{"scores": 80, "scores-canary": 20}}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			object := rendered(t, tc.route)
			if diff := cmp.Diff(tc.want, splits(typed(t, object))); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
			if got := RouteWeight(object); got != tc.weight {
				t.Errorf("weight = %d, want %d", got, tc.weight)
			}
		})
	}
	if got := RouteWeight(nil); got != 0 {
		t.Errorf("weight without a route = %d", got)
	}
	edited := rendered(t, route())
	rules, _, _ := unstructured.NestedSlice(edited.Object, "spec", "rules")
	rules[1] = rule(match(), map[string]any{"name": "scores", "weight": int64(999)}, map[string]any{"name": "scores-canary", "weight": int64(1)})
	edited.Object["spec"] = map[string]any{"rules": rules}
	if got := RouteWeight(edited); got != 1 {
		t.Errorf("the weight of a thousandth is %d, want 1: it is not 0", got)
	}
	edited.Object["spec"] = "not a route"
	if got := RouteWeight(edited); got != 0 {
		t.Errorf("the weight of nonsense is %d", got)
	}
}

func TestRouteIsOurs(t *testing.T) {
	object := rendered(t, route())
	if owner, ok := ownership.Of(object); !ok || owner != staging || object.GetName() != "scores" || object.GroupVersionKind() != HTTPRoute {
		t.Errorf("%s %s of %+v", object.GroupVersionKind(), object.GetName(), owner)
	}
}

// answer is what the controller of a Gateway writes into the status of a route.
func answer(name, namespace, section string, generation int64, conditions ...metav1.Condition) gatewayv1.RouteParentStatus {
	out := gatewayv1.RouteParentStatus{ControllerName: "example.com/gateway", ParentRef: gatewayv1.ParentReference{Name: gatewayv1.ObjectName(name)}}
	if namespace != "" {
		out.ParentRef.Namespace = new(gatewayv1.Namespace(namespace))
	}
	if section != "" {
		out.ParentRef.SectionName = new(gatewayv1.SectionName(section))
	}
	for _, condition := range conditions {
		condition.ObservedGeneration = generation
		out.Conditions = append(out.Conditions, condition)
	}
	return out
}

func condition(of gatewayv1.RouteConditionType, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{
		Type: string(of), Status: status, Reason: "ForAReason", Message: "it is\nso",
		LastTransitionTime: metav1.NewTime(time.Unix(0, 0)),
	}
}

func TestWaiting(t *testing.T) {
	accepted, resolved := condition(gatewayv1.RouteConditionAccepted, metav1.ConditionTrue), condition(gatewayv1.RouteConditionResolvedRefs, metav1.ConditionTrue)
	refused, unresolved := condition(gatewayv1.RouteConditionAccepted, metav1.ConditionFalse), condition(gatewayv1.RouteConditionResolvedRefs, metav1.ConditionFalse)
	public := answer("public", "", "", 3, accepted, resolved)
	private := answer("private", "infra", "https", 3, accepted, resolved)
	for name, tc := range map[string]struct {
		parents []gatewayv1.RouteParentStatus
		want    string
		behind  bool
	}{
		"both have taken it":       {[]gatewayv1.RouteParentStatus{public, private}, "", false},
		"nobody has answered":      {nil, "Gateway default/public has not answered to the HTTPRoute", false},
		"one has not answered":     {[]gatewayv1.RouteParentStatus{public, answer("private", "infra", "http", 3, accepted, resolved)}, "Gateway infra/private, listener https, has not answered to the HTTPRoute", false},
		"a namesake has answered":  {[]gatewayv1.RouteParentStatus{answer("public", "infra", "", 3, accepted, resolved), private}, "Gateway default/public has not answered to the HTTPRoute", false},
		"one speaks of another":    {[]gatewayv1.RouteParentStatus{answer("public", "default", "", 2, accepted, resolved), private}, "Gateway default/public has not read the present HTTPRoute", true},
		"one has said only half":   {[]gatewayv1.RouteParentStatus{answer("public", "", "", 3, accepted), private}, "Gateway default/public has not read the present HTTPRoute", false},
		"one does not take it":     {[]gatewayv1.RouteParentStatus{answer("public", "", "", 3, refused, resolved), private}, "Gateway default/public does not send requests here (ForAReason): it is so", false},
		"a Service is not found":   {[]gatewayv1.RouteParentStatus{public, answer("private", "infra", "https", 3, accepted, unresolved)}, "Gateway infra/private, listener https, does not send requests here (ForAReason): it is so", false},
		"a second one disagrees":   {[]gatewayv1.RouteParentStatus{public, private, answer("public", "", "", 3, refused, resolved)}, "Gateway default/public does not send requests here (ForAReason): it is so", false},
		"others do not count here": {[]gatewayv1.RouteParentStatus{answer("other", "", "", 1, refused), public, private}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			live := typed(t, rendered(t, route()))
			live.Generation, live.Status.Parents = 3, tc.parents
			object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&live)
			if err != nil {
				t.Fatal(err)
			}
			if got := Behind(&unstructured.Unstructured{Object: object}); got != tc.behind {
				t.Errorf("behind = %t", got)
			}
			got := route().Waiting(&unstructured.Unstructured{Object: object})
			if got == nil {
				got = &v1alpha1.WaitingFor{Type: v1alpha1.WaitGateway}
			}
			if got.Message != tc.want || got.Type != v1alpha1.WaitGateway {
				t.Errorf("waiting for %s %q, want %q", got.Type, got.Message, tc.want)
			}
		})
	}
	if Behind(nil) {
		t.Error("Gateways are behind a route that does not exist")
	}
	if got := route().Waiting(nil); got == nil || got.Message != "HTTPRoute scores is not there yet" {
		t.Errorf("without a route: %+v", got)
	}
}

func TestRefusalIsNothingThatTimeMends(t *testing.T) {
	resource := HTTPRoute.GroupVersion().WithResource("httproutes").GroupResource()
	for _, err := range []error{
		nil,
		errors.New("connection refused"),
		apierrors.NewNotFound(resource, "scores"),
		apierrors.NewNotFound(corev1.Resource("namespaces"), "gone"),
		apierrors.NewConflict(resource, "scores", errors.New("conflict")),
		apierrors.NewTooManyRequests("later", 1),
		context.DeadlineExceeded,
	} {
		if got := Refusal(err); got != nil {
			t.Errorf("%v: %+v", err, got)
		}
	}
}

// definitions is the directory of the Gateway API's own CRDs, in the module cache.
func definitions(t testing.TB) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatalf("looking for the CRDs of the Gateway API: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "standard")
}

func startServer(t *testing.T) *rest.Config {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS does not name the directory of kube-apiserver and etcd: run these tests by make test")
	}
	server := &envtest.Environment{}
	t.Cleanup(func() { // also after a start that did not succeed, which leaves processes behind
		if err := server.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	config, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func newClient(t testing.TB, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOnARealAPIServer holds the route to the CRD that the Gateway API ships.
func TestOnARealAPIServer(t *testing.T) {
	config := startServer(t)
	c := newClient(t, config)
	apply := func(t testing.TB, c client.Client, r Route) error {
		t.Helper()
		m, err := r.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		_, err = manifest.Apply(t.Context(), c, m)
		return err
	}
	unknown := func(t testing.TB, err error) {
		t.Helper()
		got := Refusal(err)
		if got == nil || !strings.Contains(got.Message, "does not know HTTPRoute") || got.Unblock == "" {
			t.Errorf("%v: waiting for %+v", err, got)
		}
	}
	unknown(t, apply(t, c, route()))

	crds, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(definitions(t), "gateway.networking.k8s.io_httproutes.yaml")}, ErrorIfPathMissing: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	live := func(t testing.TB) *unstructured.Unstructured {
		t.Helper()
		out := &unstructured.Unstructured{}
		out.SetGroupVersionKind(HTTPRoute)
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "scores"}, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	// In an order in which each takes away something that the one before has set.
	for _, step := range []struct {
		name  string
		route Route
	}{
		{"all there is", route()},
		{"another weight", route(func(r *Route) { r.Weight = 50 })},
		{"no preview", route(func(r *Route) { r.Gateway.PreviewHeader = "" })},
		{"no hostnames", route(func(r *Route) { r.Gateway.Hostnames = nil })},
		{"one Gateway", route(func(r *Route) { r.Gateway = v1alpha1.GatewaySpec{ParentRefs: r.Gateway.ParentRefs[:1]} })},
		{"no canary", route(func(r *Route) { r.Canary = false })},
		{"all again", route()},
	} {
		t.Run(step.name, func(t *testing.T) {
			if err := apply(t, c, step.route); err != nil {
				t.Fatal(err)
			}
			m, err := step.route.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			first := live(t)
			if holds, err := m.Holds(first); err != nil || !holds {
				t.Errorf("it would be written for ever (err %v):\n%s", err, cmp.Diff(m.Object().Object, first.Object))
			}
			if diff := cmp.Diff(m.Object().Object["spec"], first.Object["spec"]); diff != "" {
				t.Errorf("what is left to defaults (-want +got):\n%s", diff)
			}
			if err := apply(t, c, step.route); err != nil {
				t.Fatal(err)
			}
			if second := live(t); second.GetResourceVersion() != first.GetResourceVersion() {
				t.Error("writing the same again has changed something")
			}
		})
	}
	t.Run("what the API server refuses is told", func(t *testing.T) {
		err := apply(t, c, route(func(r *Route) { r.Gateway.Hostnames = []string{"not a name"} }))
		got := Refusal(err)
		if got == nil || !strings.Contains(got.Message, "spec.hostnames") || len(got.Message) > maxMessage+len("…") {
			t.Errorf("%v: waiting for %+v", err, got)
		}
	})
	t.Run("a namespace that is gone is not taken for a missing CRD", func(t *testing.T) {
		err := apply(t, c, route(func(r *Route) { r.Namespace = "gone" }))
		if got := Refusal(err); err == nil || got != nil {
			t.Errorf("%v: waiting for %+v", err, got)
		}
	})
	t.Run("the CRD is taken away", func(t *testing.T) {
		if err := envtest.UninstallCRDs(config, envtest.CRDInstallOptions{CRDs: crds}); err != nil {
			t.Fatal(err)
		}
		// The client still believes in it.
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
			err = apply(t, c, route())
			return err != nil && !apierrors.IsForbidden(err), nil // forbidden while it is on its way out
		})
		if err != nil {
			t.Fatal("the API server still takes it")
		}
	})
	unknown(t, err)
}
