package microservice

import (
	"context"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/traffic"
)

// hasIngress reports whether an environment is reached through an Ingress: only under names of its own, lest all environments
// answer under the same.
func hasIngress(ms *v1alpha1.Microservice, spec *v1alpha1.EnvironmentSpec) bool {
	return ms.Spec.Traffic != nil && ms.Spec.Traffic.Ingress != nil && len(spec.Hosts) > 0
}

// ingress returns the Ingress of the station: one, or none.
func (s *station) ingress(ms *v1alpha1.Microservice) ([]manifest.Manifest, error) {
	if !hasIngress(ms, s.spec) {
		return nil, nil
	}
	out, err := traffic.Ingress{
		Owner:     s.place.Owner,
		Namespace: s.place.Namespace,
		Spec:      *ms.Spec.Traffic.Ingress,
		Hosts:     s.spec.Hosts,
		Port:      environment.ServicePort,
	}.Manifest()
	return []manifest.Manifest{out}, err
}

// removeIngress removes an Ingress that is no longer wanted.
func (r *Reconciler) removeIngress(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	if hasIngress(ms, s.spec) {
		return nil
	}
	return r.remove(ctx, s.live("Ingress", s.place.Name()))
}
