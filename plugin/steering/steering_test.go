package steering_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/steering"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func verified(name string, ago time.Duration, environments ...string) v1alpha1.Release {
	at := metav1.NewTime(now.Add(-ago))
	release := v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, environment := range environments {
		release.Status.Environments = append(release.Status.Environments, v1alpha1.ReleaseEnvironmentStatus{Name: environment, VerifiedAt: &at})
	}
	return release
}

func TestVerbsOfAnEnvironment(t *testing.T) {
	waits := func(waiting v1alpha1.WaitType) *v1alpha1.WaitingFor { return &v1alpha1.WaitingFor{Type: waiting} }
	for name, tc := range map[string]struct {
		paused      bool
		environment v1alpha1.EnvironmentStatus
		want        []steering.Verb
	}{
		"the first release is on its way": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepPromote},
			want:        []steering.Verb{steering.Abort},
		},
		"nothing to go back to": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepVerified, Target: "scores-1", Verified: "scores-1"},
			want:        []steering.Verb{steering.Hold},
		},
		"one to go back to": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepVerified, Target: "scores-2", Verified: "scores-2"},
			want:        []steering.Verb{steering.Hold, steering.Rollback},
		},
		"held": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepVerified, Target: "scores-1", Verified: "scores-1", Held: &v1alpha1.Hold{}},
			want:        []steering.Verb{steering.Resume},
		},
		"waits for approval": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepAdmit, WaitingFor: waits(v1alpha1.WaitApproval), PlanHash: "01"},
			want:        []steering.Verb{steering.Approve, steering.Abort},
		},
		"waits for approval of a plan not known yet": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepAdmit, WaitingFor: waits(v1alpha1.WaitApproval)},
			want:        []steering.Verb{steering.Abort},
		},
		"a canary step waits for a person": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepCanary, WaitingFor: waits(v1alpha1.WaitPause)},
			want:        []steering.Verb{steering.Resume, steering.Abort},
		},
		"all of it is paused": {
			paused:      true,
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepCanary, WaitingFor: waits(v1alpha1.WaitPause)},
			want:        []steering.Verb{steering.Abort},
		},
		"rejected": {
			environment: v1alpha1.EnvironmentStatus{Step: v1alpha1.StepRejected, Target: "scores-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ms := &v1alpha1.Microservice{Spec: v1alpha1.MicroserviceSpec{Paused: tc.paused}}
			tc.environment.Name = "production"
			var releases []v1alpha1.Release
			if tc.environment.Target != "" {
				releases = []v1alpha1.Release{verified("scores-1", time.Hour, "production")}
			}
			if diff := cmp.Diff(tc.want, steering.In(ms, releases, tc.environment)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestVerbsOfAll(t *testing.T) {
	rejected := v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "scores-2"}, Status: v1alpha1.ReleaseStatus{Rejection: &v1alpha1.Rejection{}}}
	for name, tc := range map[string]struct {
		paused   bool
		releases []v1alpha1.Release
		unblock  string
		want     []steering.Verb
	}{
		"as always": {want: []steering.Verb{steering.Pause}},
		"a removal that failed": {
			releases: []v1alpha1.Release{verified("scores-2", 0)}, unblock: "mend the data, and try it again: kubectl annotate … " + v1alpha1.VerbRetry + "=…",
			want: []steering.Verb{steering.Retry, steering.Pause},
		},
		"something else to mend": {
			releases: []v1alpha1.Release{verified("scores-2", 0)}, unblock: "kubectl annotate … " + v1alpha1.VerbResume + "=…", want: []steering.Verb{steering.Pause},
		},
		"paused":              {paused: true, want: []steering.Verb{steering.Resume}},
		"rejected":            {releases: []v1alpha1.Release{rejected}, want: []steering.Verb{steering.Retry, steering.Pause}},
		"rejected and paused": {paused: true, releases: []v1alpha1.Release{rejected}, want: []steering.Verb{steering.Retry, steering.Resume}},
		"another is rejected": {releases: []v1alpha1.Release{verified("scores-2", 0)}, want: []steering.Verb{steering.Pause}},
	} {
		t.Run(name, func(t *testing.T) {
			ms := &v1alpha1.Microservice{Spec: v1alpha1.MicroserviceSpec{Paused: tc.paused}, Status: v1alpha1.MicroserviceStatus{Release: "scores-2"}}
			ms.Status.Environments = []v1alpha1.EnvironmentStatus{{Name: "staging"}, {Name: "production", WaitingFor: &v1alpha1.WaitingFor{Unblock: tc.unblock}}}
			if diff := cmp.Diff(tc.want, steering.Overall(ms, tc.releases)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTheLastVerifiedIsGoneBackToFirst(t *testing.T) {
	releases := []v1alpha1.Release{
		verified("scores-4", time.Minute, "staging"),
		verified("scores-3", time.Hour, "staging", "production"),
		verified("scores-2", 2*time.Minute, "staging", "production"),
		verified("scores-1", 3*time.Hour, "production"),
	}
	got := steering.Earlier(releases, v1alpha1.EnvironmentStatus{Name: "production", Target: "scores-3"})
	if diff := cmp.Diff([]string{"scores-2", "scores-1"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
