package microservice

import (
	"context"
	"fmt"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
)

// scaleOwner is the name under which the operator owns the number of pods until an autoscaler has first changed it.
const scaleOwner = client.FieldOwner("mirubato-operator-scale")

// writeStable writes the objects of an environment. Whether the number of its pods is the operator's or an autoscaler's, no pod
// goes when it passes from one to the other, and both never decide at once.
func (r *Reconciler) writeStable(ctx context.Context, s *station, children environment.Children, wanted []manifest.Manifest) error {
	live := s.facts.Deployment(s.place.Name())
	handover := children.Handover(live)
	if live != nil {
		// Before the operator stops naming the number.
		if err := r.handOver(ctx, s, handover); err != nil {
			return err
		}
	}
	if !children.Follows() {
		if err := r.remove(ctx, s.cluster, s.live("HorizontalPodAutoscaler", s.place.Name())); err != nil {
			return err
		}
	}
	if err := r.write(ctx, s, wanted); err != nil {
		return err
	}
	if live == nil {
		return r.handOver(ctx, s, handover) // there was nothing to begin with
	}
	return nil
}

func (r *Reconciler) handOver(ctx context.Context, s *station, scale *appsv1ac.DeploymentApplyConfiguration) error {
	if scale == nil {
		return nil
	}
	if err := s.cluster.Client.Apply(ctx, scale, scaleOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("handing the number of pods of %s/%s over: %w", *scale.Namespace, *scale.Name, err)
	}
	return nil
}
