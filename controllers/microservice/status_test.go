package microservice

import (
	"testing"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/release"
)

func TestEffectOf(t *testing.T) {
	runs := release.Facts{Migration: release.Work{Done: true}, Stable: release.Fleet{Content: "a", Settings: "s"}}
	unmigrated := runs
	unmigrated.Migration.Done = false
	for name, tc := range map[string]struct {
		step   v1alpha1.Step
		target release.Candidate
		facts  release.Facts
		want   v1alpha1.Effect
	}{
		"what runs already":           {v1alpha1.StepSoak, release.Candidate{Content: "a", Settings: "s"}, runs, ""},
		"other settings":              {v1alpha1.StepAdmit, release.Candidate{Content: "a", Settings: "t"}, runs, v1alpha1.EffectLive},
		"other pods":                  {v1alpha1.StepAdmit, release.Candidate{Content: "b", Settings: "s"}, runs, v1alpha1.EffectRestart},
		"other pods and settings":     {v1alpha1.StepCanary, release.Candidate{Content: "b", Settings: "t"}, runs, v1alpha1.EffectRestart},
		"another schema":              {v1alpha1.StepAdmit, release.Candidate{Content: "b", Settings: "s"}, unmigrated, v1alpha1.EffectMigrate},
		"what was rejected":           {v1alpha1.StepRejected, release.Candidate{Content: "b", Settings: "s"}, runs, ""},
		"what is no longer asked for": {v1alpha1.StepSuperseded, release.Candidate{Content: "b", Settings: "s"}, runs, ""},
		"what has been verified":      {v1alpha1.StepVerified, release.Candidate{Content: "b", Settings: "s"}, runs, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := effectOf(tc.step, tc.target, tc.facts); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
