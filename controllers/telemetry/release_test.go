package telemetry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// at is a time so many seconds after the beginning.
func at(seconds int) metav1.Time {
	return metav1.Time{Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)}
}

func when(seconds int) *metav1.Time { return new(at(seconds)) }

func step(step v1alpha1.Step, seconds int) v1alpha1.StepTime {
	return v1alpha1.StepTime{Step: step, Time: at(seconds)}
}

type record = v1alpha1.ReleaseEnvironmentStatus

func TestStepsBetween(t *testing.T) {
	begun := record{Step: v1alpha1.StepAdmit, Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0)}}
	verified := record{Step: v1alpha1.StepVerified, Steps: []v1alpha1.StepTime{
		step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepCanary, 10), step(v1alpha1.StepPromote, 130), step(v1alpha1.StepVerified, 130),
	}}
	for name, tc := range map[string]struct {
		before, after record
		steps         []v1alpha1.Step
		stays         []stay
	}{
		"the first step":  {after: begun, steps: []v1alpha1.Step{v1alpha1.StepAdmit}},
		"nothing new":     {before: begun, after: begun},
		"nothing new yet": {before: verified, after: verified},
		"several at once, some of them for no time": {
			before: begun, after: verified,
			steps: []v1alpha1.Step{v1alpha1.StepCanary, v1alpha1.StepPromote, v1alpha1.StepVerified},
			stays: []stay{{v1alpha1.StepAdmit, at(0).Time, 10 * time.Second}, {v1alpha1.StepCanary, at(10).Time, 2 * time.Minute}, {v1alpha1.StepPromote, at(130).Time, 0}},
		},
		"a retry begins anew": {
			before: verified, after: record{Step: v1alpha1.StepAdmit, Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 500)}},
			steps: []v1alpha1.Step{v1alpha1.StepAdmit},
		},
		"the beginning was dropped": {
			before: verified, after: record{Step: v1alpha1.StepSoak, Steps: []v1alpha1.StepTime{step(v1alpha1.StepVerified, 130), step(v1alpha1.StepSoak, 140)}},
			steps: []v1alpha1.Step{v1alpha1.StepSoak}, stays: []stay{{v1alpha1.StepVerified, at(130).Time, 10 * time.Second}},
		},
		"a record from before steps were written down": {
			before: record{Step: v1alpha1.StepAdmit}, after: record{Step: v1alpha1.StepPromote, Steps: []v1alpha1.StepTime{step(v1alpha1.StepPromote, 5)}},
			steps: []v1alpha1.Step{v1alpha1.StepPromote},
		},
		"another release was asked for": {
			before: begun, after: record{Step: v1alpha1.StepSuperseded, Steps: begun.Steps}, steps: []v1alpha1.Step{v1alpha1.StepSuperseded},
		},
		"it stays superseded": {
			before: record{Step: v1alpha1.StepSuperseded, Steps: begun.Steps}, after: record{Step: v1alpha1.StepSuperseded, Steps: begun.Steps},
		},
		"a clock that was set back": {
			before: begun, after: record{Step: v1alpha1.StepPromote, Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepPromote, -60)}},
			steps: []v1alpha1.Step{v1alpha1.StepPromote}, stays: []stay{{v1alpha1.StepAdmit, at(0).Time, 0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			steps, stays := stepsBetween(tc.before, tc.after)
			if diff := cmp.Diff(tc.steps, steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.stays, stays, cmp.AllowUnexported(stay{})); diff != "" {
				t.Errorf("stays (-want +got):\n%s", diff)
			}
		})
	}
}

func applied(versions ...int64) []v1alpha1.AppliedMigration {
	var out []v1alpha1.AppliedMigration
	for _, version := range versions {
		out = append(out, v1alpha1.AppliedMigration{Version: version, Duration: metav1.Duration{Duration: time.Duration(version) * time.Second}})
	}
	return out
}

func backup(name string, took int) *v1alpha1.BackupEvidence {
	return &v1alpha1.BackupEvidence{Name: name, StartedAt: at(0), FinishedAt: at(took)}
}

func TestWorkOnDatabasesIsMeasuredOnce(t *testing.T) {
	contract := func(finished *metav1.Time) *v1alpha1.ContractEvidence {
		out := &v1alpha1.ContractEvidence{BeganAt: at(0), Backup: backup("b", 20), FinishedAt: finished}
		if finished != nil {
			out.Applied = applied(9)
		}
		return out
	}
	for name, tc := range map[string]struct {
		before     *v1alpha1.DatabaseEvidence
		after      v1alpha1.DatabaseEvidence
		migrations map[string][]time.Duration
		backups    []time.Duration
	}{
		"nothing yet": {after: v1alpha1.DatabaseEvidence{}},
		"migrations and a backup": {
			after:      v1alpha1.DatabaseEvidence{Applied: applied(1, 2), Backup: backup("a", 10)},
			migrations: map[string][]time.Duration{phaseExpand: {time.Second, 2 * time.Second}}, backups: []time.Duration{10 * time.Second},
		},
		"one more migration": {
			before: &v1alpha1.DatabaseEvidence{Applied: applied(1, 2), Backup: backup("a", 10)},
			after:  v1alpha1.DatabaseEvidence{Applied: applied(1, 2, 3), Backup: backup("a", 10)}, migrations: map[string][]time.Duration{phaseExpand: {3 * time.Second}},
		},
		"a contract migration and the backup before it": {
			before: &v1alpha1.DatabaseEvidence{Contract: &v1alpha1.ContractEvidence{BeganAt: at(0)}}, after: v1alpha1.DatabaseEvidence{Contract: contract(when(30))},
			migrations: map[string][]time.Duration{phaseContract: {9 * time.Second}}, backups: []time.Duration{20 * time.Second},
		},
		"what an earlier release has done is not this one's": {
			before: &v1alpha1.DatabaseEvidence{}, after: v1alpha1.DatabaseEvidence{Contract: contract(when(30))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := happenedIn(
				Written{Before: v1alpha1.ReleaseStatus{Environments: []record{{Name: "e", Database: tc.before}}}, Release: &v1alpha1.Release{}},
				record{Name: "e", Database: &tc.after})
			want := tc.migrations
			if want == nil {
				want = map[string][]time.Duration{}
			}
			if diff := cmp.Diff(want, got.migrations); diff != "" {
				t.Errorf("migrations (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.backups, got.backups); diff != "" {
				t.Errorf("backups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeploymentOf(t *testing.T) {
	rejected := func(environment string) *v1alpha1.Rejection {
		return &v1alpha1.Rejection{Environment: environment, Step: v1alpha1.StepCanary, Reason: v1alpha1.FailureAnalysis, Time: at(100)}
	}
	verified := record{AdmittedAt: when(10), PromotedAt: when(40), VerifiedAt: when(60)}
	for name, tc := range map[string]struct {
		before, after          record
		wasRejected, rejection *v1alpha1.Rejection
		previous               int64
		outcome                outcome
		lead, restore          time.Duration
		nothing                bool
	}{
		"on its way":                        {after: record{AdmittedAt: when(10)}, nothing: true},
		"verified":                          {before: record{AdmittedAt: when(10)}, after: verified, previous: 4, outcome: outcomeVerified, lead: time.Minute},
		"the first one that there is":       {after: verified, outcome: outcomeVerified, lead: time.Minute},
		"verified before":                   {before: verified, after: verified, previous: 5, nothing: true},
		"an earlier one takes its place":    {before: record{AdmittedAt: when(10)}, after: verified, previous: 6, outcome: outcomeReverted, restore: 30 * time.Second},
		"failed":                            {before: record{AdmittedAt: when(10)}, after: record{AdmittedAt: when(10)}, rejection: rejected("production"), outcome: outcomeFailed},
		"failed and not back yet":           {before: record{AdmittedAt: when(10)}, after: record{AdmittedAt: when(10)}, wasRejected: rejected("production"), rejection: rejected("production"), nothing: true},
		"back at the release before":        {before: record{AdmittedAt: when(10)}, after: record{AdmittedAt: when(10), RolledBackAt: when(105)}, wasRejected: rejected("production"), rejection: rejected("production"), restore: 5 * time.Second},
		"back for long":                     {before: record{AdmittedAt: when(10), RolledBackAt: when(105)}, after: record{AdmittedAt: when(10), RolledBackAt: when(105)}, wasRejected: rejected("production"), rejection: rejected("production"), nothing: true},
		"rejected elsewhere":                {after: record{}, rejection: rejected("staging"), nothing: true},
		"aborted before it was let in here": {after: record{}, rejection: rejected("production"), nothing: true},
	} {
		t.Run(name, func(t *testing.T) {
			tc.before.Name, tc.after.Name = "production", "production"
			rel := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(0)}, Spec: v1alpha1.ReleaseSpec{Number: 5}}
			rel.Status = v1alpha1.ReleaseStatus{Rejection: tc.rejection, Environments: []record{tc.after}}
			got := deploymentOf(Written{
				Release: rel, Before: v1alpha1.ReleaseStatus{Rejection: tc.wasRejected, Environments: []record{tc.before}}, Last: "production", Previous: tc.previous,
			})
			if (got == nil) != tc.nothing {
				t.Fatalf("got %+v, want nothing: %t", got, tc.nothing)
			}
			if got == nil {
				return
			}
			total := figures{deployments: map[outcome]int{}}
			total.add(*got)
			if got.outcome != tc.outcome || total.lead.total != tc.lead || total.restore.total != tc.restore {
				t.Errorf("got %q, lead %s, restore %s; want %q, %s, %s", got.outcome, total.lead.total, total.restore.total, tc.outcome, tc.lead, tc.restore)
			}
		})
	}
}
