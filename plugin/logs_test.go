package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestWhoseLogsAreShown(t *testing.T) {
	pod := func(name, stage string) corev1.Pod {
		out := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if stage != "" {
			out.Labels = map[string]string{v1alpha1.LabelStage: stage}
		}
		return out
	}
	there := map[string][]corev1.Pod{
		"migration": {pod("expand", "expand"), pod("check", "check"), pod("trial", "rehearse-contract")},
		"canary":    {pod("canary", "")}, "smoke-test": {pod("test", "")}, "api": {pod("api", "")},
	}
	without := map[string][]corev1.Pod{"migration": {pod("expand", "expand")}, "api": {pod("api", "")}}
	waiting := func(step v1alpha1.Step, t v1alpha1.WaitType) v1alpha1.EnvironmentStatus {
		out := v1alpha1.EnvironmentStatus{Step: step}
		if t != "" {
			out.WaitingFor = &v1alpha1.WaitingFor{Type: t}
		}
		return out
	}
	for name, tc := range map[string]struct {
		environment v1alpha1.EnvironmentStatus
		pods        map[string][]corev1.Pod
		want        []string
	}{
		"migrations run":                         {waiting(v1alpha1.StepExpand, v1alpha1.WaitMigration), there, []string{"expand", "check", "trial"}},
		"smoke tests are made":                   {waiting(v1alpha1.StepSoak, v1alpha1.WaitSmokeTest), there, []string{"test"}},
		"a canary serves":                        {waiting(v1alpha1.StepCanary, v1alpha1.WaitStep), there, []string{"canary"}},
		"all is verified":                        {waiting(v1alpha1.StepVerified, ""), there, []string{"api"}},
		"a removal is rehearsed":                 {waiting(v1alpha1.StepVerified, v1alpha1.WaitContract), there, []string{"trial"}},
		"a removal has failed":                   {waiting(v1alpha1.StepVerified, v1alpha1.WaitDatabase), there, []string{"trial"}},
		"a removal waits until nobody goes back": {waiting(v1alpha1.StepVerified, v1alpha1.WaitContract), without, []string{"api"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, components := range parts(tc.environment) {
				for _, component := range components {
					for _, p := range telling(tc.environment, append([]corev1.Pod(nil), tc.pods[component]...)) {
						got = append(got, p.Name)
					}
				}
				if len(got) > 0 {
					break
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
