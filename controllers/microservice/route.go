package microservice

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/traffic"
)

// The HTTPRoute is read and written by itself and never watched: a cluster may not know its kind, and a watch on what the API
// server does not serve would keep the operator from starting.

func isRouted(ms *v1alpha1.Microservice) bool {
	return ms.Spec.Traffic != nil && ms.Spec.Traffic.Gateway != nil
}

// observeRoute reads the HTTPRoute of an environment that has one, or had one.
func (r *Reconciler) observeRoute(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	if s.facts.Namespace.Outside {
		return nil
	}
	service, _ := s.facts.Live[environment.ObjectKey{Kind: "Service", Name: s.place.Name()}].(*corev1.Service)
	if !isRouted(ms) && (service == nil || service.Annotations[environment.AnnotationRouted] == "") {
		return nil
	}
	live, err := route(ctx, s.cluster, s.place.Namespace, s.place.Name())
	if err != nil {
		if s.refusal = traffic.Refusal(err); s.refusal != nil {
			return nil
		}
		return err
	}
	if live == nil {
		return nil
	}
	if owner, ours := ownership.Of(live); !ours || owner != s.place.Owner {
		s.facts.Foreign = append(s.facts.Foreign, environment.ObjectKey{Kind: traffic.HTTPRoute.Kind, Name: live.GetName()})
		return nil
	}
	s.route = live
	return nil
}

// route returns the HTTPRoute of that name, or nil.
func route(ctx context.Context, cluster *clusters.Cluster, namespace, name string) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(traffic.HTTPRoute)
	err := cluster.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, live)
	if apierrors.IsNotFound(err) && traffic.Refusal(err) == nil {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	if err != nil {
		return nil, fmt.Errorf("reading HTTPRoute %s/%s: %w", namespace, name, err)
	}
	return live, nil
}

// routeOf is the HTTPRoute at a weight.
func (s *station) routeOf(ms *v1alpha1.Microservice, weight int32) traffic.Route {
	gateway := *ms.Spec.Traffic.Gateway
	if len(s.spec.Hosts) > 0 {
		gateway.Hostnames = s.spec.Hosts
	}
	return traffic.Route{
		Owner:     s.place.Owner,
		Namespace: s.place.Namespace,
		Gateway:   gateway,
		Port:      environment.ServicePort,
		Canary:    s.input.Facts.Canary.Ready > 0,
		Weight:    weight,
	}
}

// writeRoute brings the HTTPRoute to a weight, or removes it where none is wanted any more.
func (r *Reconciler) writeRoute(ctx context.Context, ms *v1alpha1.Microservice, s *station, weight int32) error {
	if !isRouted(ms) {
		if s.route == nil {
			return nil
		}
		return r.remove(ctx, s.cluster, []client.Object{s.route})
	}
	wanted, err := s.routeOf(ms, weight).Manifest()
	if err != nil {
		return err
	}
	if s.route != nil {
		if holds, err := wanted.Holds(s.route); err != nil || holds {
			return err
		}
	}
	if _, err := manifest.Apply(ctx, s.cluster.Client, wanted); err != nil {
		return err
	}
	s.route = wanted.Object() // a later action of the same pass must not write it again
	return nil
}

// routesOf returns the HTTPRoutes that go with Services which are to be removed: no owner reference reaches from one to the other
// when an environment is moved.
func (r *Reconciler) routesOf(ctx context.Context, cluster *clusters.Cluster, objects []client.Object) ([]client.Object, error) {
	var out []client.Object
	for _, object := range objects {
		service, ok := object.(*corev1.Service)
		if !ok || service.Annotations[environment.AnnotationRouted] == "" {
			continue
		}
		live, err := route(ctx, cluster, service.Namespace, service.Name)
		switch {
		case err != nil && traffic.Refusal(err) == nil:
			return nil, err
		case live != nil && ownership.IsManaged(live):
			out = append(out, live)
		}
	}
	return out, nil
}
