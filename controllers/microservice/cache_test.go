package microservice

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestClaimsAreIndexed(t *testing.T) {
	of := func(step v1alpha1.Step, waiting v1alpha1.WaitType) client.Object {
		e := v1alpha1.EnvironmentStatus{Name: "production", Step: step}
		if waiting != "" {
			e.WaitingFor = &v1alpha1.WaitingFor{Type: waiting, Since: metav1.Now()}
		}
		return &v1alpha1.Microservice{Status: v1alpha1.MicroserviceStatus{Environments: []v1alpha1.EnvironmentStatus{{Name: "staging", Step: v1alpha1.StepVerified}, e}}}
	}
	for name, tc := range map[string]struct {
		object client.Object
		want   int
	}{
		"at rest":                        {of(v1alpha1.StepVerified, ""), 0},
		"waits for another environment":  {of(v1alpha1.StepAdmit, v1alpha1.WaitPreviousEnvironment), 0},
		"a rollout is under way":         {of(v1alpha1.StepPromote, v1alpha1.WaitPods), 1},
		"a rollout was admitted":         {of(v1alpha1.StepAdmit, v1alpha1.WaitStep), 1},
		"waits for the budget":           {of(v1alpha1.StepAdmit, v1alpha1.WaitBudget), 1},
		"nothing was observed of it yet": {&v1alpha1.Microservice{}, 0},
		"another kind":                   {&corev1.Pod{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := claimKey(tc.object); len(got) != tc.want {
				t.Errorf("found by %v, want %d keys", got, tc.want)
			}
		})
	}
}

// TestPodsAreStripped holds the caches to what they are to keep of a pod.
func TestPodsAreStripped(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "scores-0", Labels: map[string]string{"a": "b"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
		},
		Spec:   corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "service"}}},
		Status: corev1.PodStatus{PodIP: "10.0.0.1"},
	}
	for child, with := range CacheOptions(nil).ByObject {
		if _, isPod := child.(*corev1.Pod); !isPod {
			continue
		}
		stripped, err := with.Transform(pod)
		if err != nil {
			t.Fatal(err)
		}
		want := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "scores-0", Labels: map[string]string{"a": "b"}}, Status: corev1.PodStatus{PodIP: "10.0.0.1"},
		}
		if diff := cmp.Diff(want, stripped); diff != "" {
			t.Errorf("kept of a pod (-want +got):\n%s", diff)
		}
		return
	}
	t.Error("the caches hold no pods")
}
