package microservice

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/release"
)

func TestPodsThatMayBeOlderHoldUpTheContraction(t *testing.T) {
	target := &v1alpha1.Release{}
	target.Name = "scores-2"
	current := release.Fleet{Exists: true, Content: "b", Complete: true}
	for name, tc := range map[string]struct {
		stable, canary release.Fleet
		away           *v1alpha1.WaitingFor
		want           []string
	}{
		"all are of the release":   {stable: current},
		"there are none":           {},
		"some are of another":      {stable: release.Fleet{Exists: true, Content: "a", Complete: true}, want: []string{"production"}},
		"some are being replaced":  {stable: release.Fleet{Exists: true, Content: "b"}, want: []string{"production"}},
		"there is a canary":        {stable: current, canary: release.Fleet{Exists: true}, want: []string{"production"}},
		"nobody knows: it is away": {away: &v1alpha1.WaitingFor{Type: v1alpha1.WaitCluster}, want: []string{"production"}},
	} {
		t.Run(name, func(t *testing.T) {
			staging := &station{spec: &v1alpha1.EnvironmentSpec{Name: "staging"}, target: target}
			production := &station{spec: &v1alpha1.EnvironmentSpec{Name: "production"}, target: target, away: tc.away}
			production.input.Target.Content = "b"
			production.input.Facts.Stable, production.input.Facts.Canary = tc.stable, tc.canary
			o := &observed{stations: []*station{staging, production}}
			if difference := cmp.Diff(tc.want, o.older(staging)); difference != "" {
				t.Error(difference)
			}
		})
	}
}
