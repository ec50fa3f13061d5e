package microservice_test

import (
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestAutoscalerDecidesTheNumberOfPods(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	expect := func(when string, want int32) {
		t.Helper()
		w.verify(ctx)
		d := w.deployments(ctx)["production"]
		if *d.Spec.Replicas != want {
			t.Errorf("%s: %d pods, want %d", when, *d.Spec.Replicas, want)
		}
	}
	number := func(n int32) func(*v1alpha1.MicroserviceSpec) {
		return func(spec *v1alpha1.MicroserviceSpec) { spec.Workload.Replicas, spec.Workload.Autoscaling = &n, nil }
	}
	w.edit(ctx, number(4))
	expect("a number", 4)
	production := w.deployments(ctx)["production"]
	key, autoscaler := client.ObjectKeyFromObject(&production), &autoscalingv2.HorizontalPodAutoscaler{}

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
		spec.Workload.Replicas, spec.Workload.Autoscaling = nil, &v1alpha1.AutoscalingSpec{Max: 6}
	})
	expect("handed over to the autoscaler", 4)
	w.must(direct.Get(ctx, key, autoscaler))

	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 6}}
	w.must(direct.SubResource("scale").Update(ctx, &production, client.WithSubResourceBody(scale)))
	expect("the load has risen", 6)

	edited := w.deployments(ctx)["production"]
	edited.Spec.Template.Spec.Containers[0].Image = "example.com/other:1"
	w.must(direct.Update(ctx, &edited))
	w.must(direct.Delete(ctx, autoscaler))
	expect("edited by hand", 6)
	d := w.deployments(ctx)["production"]
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "localhost/scores:1.0.0" {
		t.Errorf("the Deployment kept image %s", image)
	}
	w.must(direct.Get(ctx, key, autoscaler))

	w.edit(ctx, number(3))
	expect("a number again", 3)
	w.collectGarbage(ctx)
	if err := direct.Get(ctx, key, autoscaler); !apierrors.IsNotFound(err) {
		t.Errorf("the autoscaler is still there: %v", err)
	}
	w.verify(ctx) // the status names the number of pods
	w.expectRest(ctx)
}

func TestNewPodsThatFollowTheLoad(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.ms.Spec.Workload.Autoscaling = &v1alpha1.AutoscalingSpec{Min: new(int32(3)), Max: 6}
	w.create(ctx)
	w.verify(ctx)
	for name, d := range w.deployments(ctx) {
		if *d.Spec.Replicas != 3 {
			t.Errorf("%s begins with %d pods, want the least number, 3", name, *d.Spec.Replicas)
		}
	}
	w.expectRest(ctx)
}
