package environment

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func following25(c *Content) { c.Scale = Scale{Min: 2, Max: 5, TargetCPU: 70} }

func TestScaleOf(t *testing.T) {
	number := func(n int32) v1alpha1.WorkloadSpec { return v1alpha1.WorkloadSpec{Replicas: &n} }
	auto := func(least, target *int32, most int32) v1alpha1.WorkloadSpec {
		return v1alpha1.WorkloadSpec{Autoscaling: &v1alpha1.AutoscalingSpec{Min: least, Max: most, TargetCPU: target}}
	}
	for name, tc := range map[string]struct {
		base, over v1alpha1.WorkloadSpec
		want       Scale
	}{
		"two pods, if nothing is said":               {want: fixed(2)},
		"a number":                                   {base: number(4), want: fixed(4)},
		"another number in an environment":           {base: number(4), over: number(1), want: fixed(1)},
		"between two and the greatest number":        {base: auto(nil, nil, 9), want: Scale{Min: 2, Max: 9, TargetCPU: 80}},
		"never more than the greatest number":        {base: auto(nil, nil, 1), want: Scale{Min: 1, Max: 1, TargetCPU: 80}},
		"as written":                                 {base: auto(new(int32(3)), new(int32(50)), 9), want: Scale{Min: 3, Max: 9, TargetCPU: 50}},
		"a number where the others follow the load":  {base: auto(nil, nil, 9), over: number(1), want: fixed(1)},
		"following the load where others do not":     {base: number(4), over: auto(nil, nil, 9), want: Scale{Min: 2, Max: 9, TargetCPU: 80}},
		"another greatest number in an environment":  {base: auto(new(int32(3)), new(int32(50)), 9), over: auto(nil, nil, 20), want: Scale{Min: 3, Max: 20, TargetCPU: 50}},
		"a greatest number below the others' lowest": {base: auto(new(int32(3)), nil, 9), over: auto(nil, nil, 2), want: Scale{Min: 2, Max: 2, TargetCPU: 80}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ScaleOf(&v1alpha1.MicroserviceSpec{Workload: tc.base},
				&v1alpha1.EnvironmentSpec{Overrides: &v1alpha1.EnvironmentOverrides{Workload: &tc.over}})
			if got != tc.want {
				t.Errorf("scale %+v, want %+v", got, tc.want)
			}
		})
	}
}

func autoscaler(t *testing.T, children Children, canary bool) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	m, ok, err := children.Autoscaler(canary)
	if err != nil || !ok {
		t.Fatalf("no autoscaler: %v", err)
	}
	out := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object().Object, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAutoscaler(t *testing.T) {
	if _, ok, err := childrenOf(t, full()).Autoscaler(false); ok || err != nil {
		t.Errorf("a fixed number of pods has an autoscaler (%t), or an error: %v", ok, err)
	}
	children := childrenOf(t, full(following25))
	deployment := find[appsv1.Deployment](t, children, "Deployment")
	if deployment.Spec.Replicas != nil {
		t.Errorf("the Deployment names %d pods, against what the autoscaler says", *deployment.Spec.Replicas)
	}
	alone := autoscaler(t, children, false)
	want := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: deployment.Name}
	if diff := cmp.Diff(want, alone.Spec.ScaleTargetRef); diff != "" {
		t.Errorf("it scales (-want +got):\n%s", diff)
	}
	if *alone.Spec.MinReplicas != 2 || alone.Spec.MaxReplicas != 5 || *alone.Spec.Metrics[0].Resource.Target.AverageUtilization != 70 {
		t.Errorf("it scales by %+v", alone.Spec)
	}
	if alone.Spec.Behavior != nil {
		t.Errorf("without a canary it behaves otherwise than others: %+v", alone.Spec.Behavior)
	}
	beside := autoscaler(t, children, true)
	if beside.Spec.Behavior == nil || *beside.Spec.Behavior.ScaleDown.SelectPolicy != autoscalingv2.DisabledPolicySelect {
		t.Errorf("it takes pods away while a canary has their requests: %+v", beside.Spec.Behavior)
	}
}

func TestAutoscalerByRequests(t *testing.T) {
	if metrics := autoscaler(t, childrenOf(t, full(following25)), false).Spec.Metrics; len(metrics) != 1 {
		t.Errorf("without a target of requests it follows %+v", metrics)
	}
	metrics := autoscaler(t, childrenOf(t, full(following25, func(c *Content) { c.Scale.TargetRequests = 150 })), false).Spec.Metrics
	if len(metrics) != 2 || metrics[1].Pods == nil || metrics[1].Pods.Metric.Name != "http_requests_per_second" {
		t.Fatalf("it follows %+v", metrics)
	}
	if target := metrics[1].Pods.Target; target.Type != autoscalingv2.AverageValueMetricType || target.AverageValue.Value() != 150 {
		t.Errorf("its target is %+v", target)
	}
}

func TestVariablesFromConfigMaps(t *testing.T) {
	with := func(variables ...v1alpha1.EnvironmentVariable) Children {
		return childrenOf(t, full(func(c *Content) { c.Env = variables }))
	}
	ref := func(name, key string) *v1alpha1.ConfigMapKeyReference {
		return &v1alpha1.ConfigMapKeyReference{Name: name, Key: key}
	}
	b, a := v1alpha1.EnvironmentVariable{Name: "B", ConfigMapRef: ref("maps", "b")}, v1alpha1.EnvironmentVariable{Name: "A", ConfigMapRef: ref("maps", "a")}
	children := with(b, a)
	want := []corev1.EnvVar{
		{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "maps"}, Key: "a"}}},
		{Name: "B", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "maps"}, Key: "b"}}},
	}
	container := find[appsv1.Deployment](t, children, "Deployment").Spec.Template.Spec.Containers[0]
	if diff := cmp.Diff(want, container.Env); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if with(a, b).Content != children.Content {
		t.Error("another order replaces the pods")
	}
	a.ConfigMapRef = ref("maps", "c")
	if with(a, b).Content == children.Content {
		t.Error("another key leaves the pods as they are")
	}
}

func TestHandover(t *testing.T) {
	live := func(replicas int32, annotations map[string]string) *appsv1.Deployment {
		return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Annotations: annotations},
			Spec:       appsv1.DeploymentSpec{Replicas: &replicas},
		}
	}
	for name, tc := range map[string]struct {
		scale Scale
		live  *appsv1.Deployment
		want  int32 // 0: none
	}{
		"a fixed number is named by the Deployment": {scale: fixed(3), live: live(3, nil)},
		"a new Deployment begins with the least":    {scale: Scale{Min: 2, Max: 5, TargetCPU: 70}, want: 2},
		"what runs stays":                           {scale: Scale{Min: 2, Max: 5, TargetCPU: 70}, live: live(4, nil), want: 4},
		"not fewer than the least":                  {scale: Scale{Min: 2, Max: 5, TargetCPU: 70}, live: live(1, nil), want: 2},
		"not more than the most":                    {scale: Scale{Min: 2, Max: 5, TargetCPU: 70}, live: live(9, nil), want: 5},
		"only once": {
			scale: Scale{Min: 2, Max: 5, TargetCPU: 70},
			live:  live(1, map[string]string{annotationScale: scaleFollows}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			children := childrenOf(t, full(func(c *Content) { c.Scale = tc.scale }))
			got := int32(0)
			if handover := children.Handover(tc.live); handover != nil {
				got = *handover.Spec.Replicas
			}
			if got != tc.want {
				t.Errorf("handed over: %d pods, want %d", got, tc.want)
			}
		})
	}
}

func TestPlacement(t *testing.T) {
	base := v1alpha1.MicroserviceSpec{Workload: v1alpha1.WorkloadSpec{
		PriorityClassName: new("urgent"),
		NodeSelector:      map[string]v1alpha1.LabelValue{"disk": "ssd"},
		Tolerations:       []v1alpha1.Toleration{{Key: "dedicated"}},
	}}
	over := &v1alpha1.EnvironmentOverrides{Workload: &v1alpha1.WorkloadSpec{
		PriorityClassName: new("later"),
		Tolerations:       []v1alpha1.Toleration{{Key: "spot", Value: new("yes"), Effect: new("NoSchedule")}},
	}}
	content := ContentOf(releaseOf(&base, over), "staging", fixed(1))
	pod := find[appsv1.Deployment](t, childrenOf(t, content), "Deployment").Spec.Template.Spec
	if pod.PriorityClassName != "later" {
		t.Errorf("priority class %s", pod.PriorityClassName)
	}
	if diff := cmp.Diff(map[string]string{"disk": "ssd"}, pod.NodeSelector); diff != "" {
		t.Errorf("node selector (-want +got):\n%s", diff)
	}
	want := []corev1.Toleration{{Key: "spot", Operator: corev1.TolerationOpEqual, Value: "yes", Effect: corev1.TaintEffectNoSchedule}}
	if diff := cmp.Diff(want, pod.Tolerations); diff != "" {
		t.Errorf("tolerations (-want +got):\n%s", diff)
	}
}
