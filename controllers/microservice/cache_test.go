package microservice

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
