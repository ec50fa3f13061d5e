package restricted

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// typed brings an apply configuration into the form that the API server reads.
func typed[T any](t testing.TB, configuration any) *T {
	t.Helper()
	encoded, err := json.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := json.Unmarshal(encoded, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPodIsRestricted(t *testing.T) {
	pod := typed[corev1.PodSpec](t, PodSpec().
		WithContainers(Container("service", "scores:1").WithResources(SmallResources())).
		WithVolumes(SecretVolume("auth", SecretFile{Secret: v1alpha1.SecretKeyReference{Name: "s", Key: "k"}, Path: "/run/k"})))
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &metav1.ObjectMeta{}, pod) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	// What the standard does not ask for and we do.
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod gets a token for the API server")
	}
	if security := pod.Containers[0].SecurityContext; security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
		t.Error("the container can write to its image")
	}
	if pod.SecurityContext.RunAsUser == nil || *pod.SecurityContext.RunAsUser == 0 {
		t.Error("an image that names no user would be refused by the kubelet")
	}
}

func TestSecretVolumeMakesOneFileOfEachKey(t *testing.T) {
	volume := typed[corev1.Volume](t, SecretVolume("auth",
		SecretFile{Secret: v1alpha1.SecretKeyReference{Name: "now", Key: "signing"}, Path: "/var/run/auth/secret"},
		SecretFile{Secret: v1alpha1.SecretKeyReference{Name: "before", Key: "signing"}, Path: "/var/run/auth/previous"}))
	file := func(secret, key, path string) corev1.VolumeProjection {
		return corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret},
			Items:                []corev1.KeyToPath{{Key: key, Path: path}},
		}}
	}
	want := &corev1.Volume{Name: "auth", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(0o440)),
		Sources:     []corev1.VolumeProjection{file("now", "signing", "secret"), file("before", "signing", "previous")},
	}}}
	if diff := cmp.Diff(want, volume); diff != "" {
		t.Errorf("volume (-want +got):\n%s", diff)
	}
}

func TestContainersShareNothing(t *testing.T) {
	first, second := Container("a", "x"), Container("b", "y")
	first.SecurityContext.WithCapabilities(corev1ac.Capabilities().WithAdd("NET_ADMIN"))
	if len(second.SecurityContext.Capabilities.Add) > 0 {
		t.Error("a change to one container changed another")
	}
}
