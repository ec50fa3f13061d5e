package environment

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// annotationScale, on a Deployment, says that the number of its pods is not the operator's any more.
const annotationScale = "platform.mirubato.com/scale"

// scaleFollows is the value of annotationScale.
const scaleFollows = "HorizontalPodAutoscaler"

// stable is the Deployment that all requests go to. Where the number of its pods follows the load, it does not name one: what it
// named would be written over what the autoscaler found.
func (c Children) stable() *appsv1ac.DeploymentApplyConfiguration {
	out := c.deployment(c.place.Name(), ownership.ComponentAPI)
	if c.content.Scale.Follows() {
		return out.WithAnnotations(map[string]string{annotationScale: scaleFollows})
	}
	out.Spec.WithReplicas(c.content.Scale.Min)
	return out
}

// Follows reports whether the number of pods follows the load.
func (c Children) Follows() bool { return c.content.Scale.Follows() }

// Autoscaler lets the number of the stable pods follow the load; ok is false where it is fixed. While a canary takes a part of
// the requests, the stable pods use less CPU without being fewer needed: they may all be asked again at any time, so that none
// is taken away.
func (c Children) Autoscaler(canary bool) (m manifest.Manifest, ok bool, err error) {
	scale := c.content.Scale
	if !scale.Follows() {
		return manifest.Manifest{}, false, nil
	}
	spec := autoscalingv2ac.HorizontalPodAutoscalerSpec().
		WithScaleTargetRef(autoscalingv2ac.CrossVersionObjectReference().
			WithAPIVersion(appsv1.SchemeGroupVersion.String()).
			WithKind("Deployment").
			WithName(c.place.Name())).
		WithMinReplicas(scale.Min).
		WithMaxReplicas(scale.Max).
		WithMetrics(autoscalingv2ac.MetricSpec().
			WithType(autoscalingv2.ResourceMetricSourceType).
			WithResource(autoscalingv2ac.ResourceMetricSource().
				WithName(corev1.ResourceCPU).
				WithTarget(autoscalingv2ac.MetricTarget().
					WithType(autoscalingv2.UtilizationMetricType).
					WithAverageUtilization(scale.TargetCPU))))
	if scale.TargetRequests > 0 {
		spec.WithMetrics(autoscalingv2ac.MetricSpec().
			WithType(autoscalingv2.PodsMetricSourceType).
			WithPods(autoscalingv2ac.PodsMetricSource().
				WithMetric(autoscalingv2ac.MetricIdentifier().WithName(contract.RequestRateMetric)).
				WithTarget(autoscalingv2ac.MetricTarget().
					WithType(autoscalingv2.AverageValueMetricType).
					WithAverageValue(*resource.NewQuantity(int64(scale.TargetRequests), resource.DecimalSI)))))
	}
	if canary {
		spec.WithBehavior(autoscalingv2ac.HorizontalPodAutoscalerBehavior().
			WithScaleDown(autoscalingv2ac.HPAScalingRules().WithSelectPolicy(autoscalingv2.DisabledPolicySelect)))
	}
	m, err = manifest.New(autoscalingv2ac.HorizontalPodAutoscaler(c.place.Name(), c.place.Namespace).
		WithLabels(c.place.labels()).
		WithSpec(spec))
	return m, err == nil, err
}

// Handover names the number of pods that a Deployment is to have until an autoscaler decides, and nothing else; nil once that
// has been done. live may be nil.
//
// It is written under a field owner of its own: a field that its only owner stops naming falls back to its default, which would
// be one pod.
// Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
func (c Children) Handover(live *appsv1.Deployment) *appsv1ac.DeploymentApplyConfiguration {
	scale := c.content.Scale
	if !scale.Follows() || live != nil && live.Annotations[annotationScale] == scaleFollows {
		return nil
	}
	replicas := scale.Min
	if live != nil && live.Spec.Replicas != nil {
		replicas = min(max(*live.Spec.Replicas, scale.Min), scale.Max)
	}
	return appsv1ac.Deployment(c.place.Name(), c.place.Namespace).
		WithSpec(appsv1ac.DeploymentSpec().WithReplicas(replicas))
}
