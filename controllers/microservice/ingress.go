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

// writeEntries brings the HTTPRoute to where it shall be, and removes an Ingress that is no longer wanted. One that is wanted is
// written with what it leads to.
func (r *Reconciler) writeEntries(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	if err := r.writeRoute(ctx, ms, s, s.input.Facts.Weight); err != nil || hasIngress(ms, s.spec) {
		return err
	}
	return r.remove(ctx, s.cluster, s.live("Ingress", s.place.Name()))
}
