package board

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
	"github.com/mirubato/mirubato/plugin/steering"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func microservice(name string, environments ...v1alpha1.EnvironmentStatus) v1alpha1.Microservice {
	return v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: name, Generation: 1},
		Status:     v1alpha1.MicroserviceStatus{ObservedGeneration: 1, Release: name + "-2", Summary: "told", Environments: environments},
	}
}

func release(name, version string, environments ...v1alpha1.ReleaseEnvironmentStatus) v1alpha1.Release {
	return v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: name, CreationTimestamp: ago(time.Hour)},
		Spec:       v1alpha1.ReleaseSpec{Version: version, Image: "registry.example.com/scores:" + version},
		Status:     v1alpha1.ReleaseStatus{Environments: environments},
	}
}

func TestOverviewIsSortedAndNamesVersions(t *testing.T) {
	waits := v1alpha1.EnvironmentStatus{Name: "production", Step: v1alpha1.StepAdmit, WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval}}
	scores, catalogue, target := microservice("scores", waits), microservice("catalogue"), release("scores-2", "1.1.0")
	got := overviewOf([]*v1alpha1.Microservice{&scores, &catalogue}, []*v1alpha1.Release{&target})
	want := overview{Microservices: []row{
		{Namespace: "music", Name: "catalogue", Standing: "unknown", Tone: toneIdle, Summary: "told", Release: "catalogue-2", Environments: []mark{}},
		{
			Namespace: "music", Name: "scores", Standing: "unknown", Tone: toneWaits, Summary: "told", Release: "scores-2", Version: "1.1.0", Person: true,
			Environments: []mark{{Name: "production", Step: v1alpha1.StepAdmit, Tone: toneWaits, Waiting: v1alpha1.WaitApproval}},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTones(t *testing.T) {
	is := func(condition string) func(*v1alpha1.Microservice) {
		return func(ms *v1alpha1.Microservice) {
			ms.Status.Conditions = []metav1.Condition{{Type: condition, Status: metav1.ConditionTrue}}
		}
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.Microservice)
		want   tone
	}{
		"nothing told":        {func(*v1alpha1.Microservice) {}, toneIdle},
		"ready":               {is(v1alpha1.ConditionReady), toneGood},
		"stalled":             {is(v1alpha1.ConditionStalled), toneBad},
		"on its way":          {is(v1alpha1.ConditionReconciling), toneMoves},
		"paused":              {func(ms *v1alpha1.Microservice) { ms.Spec.Paused = true }, toneWaits},
		"changed and unseen":  {func(ms *v1alpha1.Microservice) { ms.Generation = 2 }, toneMoves},
		"being removed":       {func(ms *v1alpha1.Microservice) { ms.DeletionTimestamp = new(ago(0)) }, toneMoves},
		"ready, but a change": {func(ms *v1alpha1.Microservice) { is(v1alpha1.ConditionReady)(ms); ms.Generation = 2 }, toneMoves},
	} {
		t.Run(name, func(t *testing.T) {
			ms := microservice("scores")
			tc.change(&ms)
			if got := toneOf(&ms); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestWhoeverWaitsForAPersonSaysSo(t *testing.T) {
	later := ago(-time.Minute)
	for name, tc := range map[string]struct {
		waiting *v1alpha1.WaitingFor
		want    bool
	}{
		"for nothing":                 {nil, false},
		"for an approval":             {&v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval}, true},
		"for a secret":                {&v1alpha1.WaitingFor{Type: v1alpha1.WaitSecret, Unblock: "make it"}, true},
		"for pods":                    {&v1alpha1.WaitingFor{Type: v1alpha1.WaitPods}, false},
		"for a time":                  {&v1alpha1.WaitingFor{Type: v1alpha1.WaitWindow, Deadline: &later, Unblock: "open a window"}, false},
		"for the environment before":  {&v1alpha1.WaitingFor{Type: v1alpha1.WaitPreviousEnvironment, Unblock: "see there"}, false},
		"for a person at canary step": {&v1alpha1.WaitingFor{Type: v1alpha1.WaitPause, Unblock: "resume it"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := needsPerson(v1alpha1.EnvironmentStatus{WaitingFor: tc.waiting}); got != tc.want {
				t.Errorf("%t, want %t", got, tc.want)
			}
		})
	}
}

func TestCanarySteps(t *testing.T) {
	ms := microservice("scores")
	ms.Spec.Environments = []v1alpha1.EnvironmentSpec{
		{Name: "staging", Rollout: &v1alpha1.RolloutSpec{Steps: []v1alpha1.RolloutStep{{Weight: 20}, {Weight: 50, Pause: true}}}}, {Name: "production"},
	}
	for name, tc := range map[string]struct {
		environment string
		step        v1alpha1.Step
		index       int32
		want        []share
	}{
		"before it":     {"staging", v1alpha1.StepExpand, 0, []share{{Weight: 20}, {Weight: 50, Pause: true}}},
		"at the first":  {"staging", v1alpha1.StepCanary, 0, []share{{Weight: 20, Now: true}, {Weight: 50, Pause: true}}},
		"at the second": {"staging", v1alpha1.StepCanary, 1, []share{{Weight: 20, Done: true}, {Weight: 50, Pause: true, Now: true}}},
		"after it":      {"staging", v1alpha1.StepSoak, 1, []share{{Weight: 20, Done: true}, {Weight: 50, Pause: true, Done: true}}},
		"taken back":    {"staging", v1alpha1.StepRejected, 1, []share{{Weight: 20}, {Weight: 50, Pause: true}}},
		"without one":   {"production", v1alpha1.StepPromote, 0, nil},
		"unknown":       {"gone", v1alpha1.StepPromote, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := canaryOf(&ms, v1alpha1.EnvironmentStatus{Name: tc.environment, Step: tc.step}, &v1alpha1.ReleaseEnvironmentStatus{StepIndex: tc.index})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTrack(t *testing.T) {
	at := func(step v1alpha1.Step, before time.Duration) v1alpha1.StepTime {
		return v1alpha1.StepTime{Step: step, Time: ago(before)}
	}
	since := func(before time.Duration) *time.Time { return new(ago(before).Time) }
	for name, tc := range map[string]struct {
		step     v1alpha1.Step
		rejected bool
		evidence *v1alpha1.ReleaseEnvironmentStatus
		want     []station
	}{
		"nothing is known": {step: v1alpha1.StepAdmit, want: []station{{Step: v1alpha1.StepAdmit, State: "now"}, {Step: v1alpha1.StepPromote, State: "ahead"}, {Step: v1alpha1.StepVerified, State: "ahead"}}},
		"under way": {
			step:     v1alpha1.StepPromote,
			evidence: &v1alpha1.ReleaseEnvironmentStatus{Step: v1alpha1.StepPromote, Steps: []v1alpha1.StepTime{at(v1alpha1.StepAdmit, 9*time.Second), at(v1alpha1.StepPromote, 2*time.Second)}},
			want: []station{
				{Step: v1alpha1.StepAdmit, State: "done", Since: since(9 * time.Second), Seconds: new(int64(7))},
				{Step: v1alpha1.StepPromote, State: "now", Since: since(2 * time.Second)},
				{Step: v1alpha1.StepVerified, State: "ahead"},
			},
		},
		"let in anew": {
			step: v1alpha1.StepVerified,
			evidence: &v1alpha1.ReleaseEnvironmentStatus{Step: v1alpha1.StepVerified, Steps: []v1alpha1.StepTime{
				at(v1alpha1.StepAdmit, 90*time.Second), at(v1alpha1.StepRejected, 80*time.Second), at(v1alpha1.StepAdmit, 9*time.Second), at(v1alpha1.StepVerified, time.Second),
			}},
			want: []station{{Step: v1alpha1.StepAdmit, State: "done", Since: since(9 * time.Second), Seconds: new(int64(8))}, {Step: v1alpha1.StepVerified, State: "done", Since: since(time.Second)}},
		},
		"evidence of another time": {
			step:     v1alpha1.StepAdmit,
			evidence: &v1alpha1.ReleaseEnvironmentStatus{Step: v1alpha1.StepVerified, Steps: []v1alpha1.StepTime{at(v1alpha1.StepVerified, time.Second)}},
			want:     []station{{Step: v1alpha1.StepAdmit, State: "now"}, {Step: v1alpha1.StepPromote, State: "ahead"}, {Step: v1alpha1.StepVerified, State: "ahead"}},
		},
		"rolls back":         {step: v1alpha1.StepRollBack, want: []station{{Step: v1alpha1.StepRollBack, State: "failed"}}},
		"rejected elsewhere": {step: v1alpha1.StepAdmit, rejected: true, want: []station{{Step: v1alpha1.StepAdmit, State: "failed"}}},
		"superseded":         {step: v1alpha1.StepSuperseded, want: []station{{Step: v1alpha1.StepSuperseded, State: "now"}}},
	} {
		t.Run(name, func(t *testing.T) {
			target := release("scores-2", "1.1.0")
			if tc.rejected {
				target.Status.Rejection = &v1alpha1.Rejection{}
			}
			got := trackOf(&target, v1alpha1.EnvironmentStatus{Step: tc.step}, tc.evidence)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAnApprovalIsOfferedWithWhatItIsOf(t *testing.T) {
	e := v1alpha1.EnvironmentStatus{
		Name: "production", Step: v1alpha1.StepAdmit, Target: "scores-2", Release: "scores-1", Verified: "scores-1", PlanHash: "01",
		WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval, Message: "0 of 1", Since: ago(time.Minute)},
	}
	verified := v1alpha1.ReleaseEnvironmentStatus{Name: "production", Step: v1alpha1.StepVerified, AdmittedAt: new(ago(time.Hour)), VerifiedAt: new(ago(time.Hour - 70*time.Second))}
	releases := []v1alpha1.Release{release("scores-2", "1.1.0"), release("scores-1", "1.0.0", verified)}
	ms := microservice("scores", e)
	got, err := detailOf(&ms, releases)
	if err != nil {
		t.Fatal(err)
	}
	want := []offer{
		{Verb: steering.Approve, Plan: "01", Changes: []change.Change{{Path: "image", From: "registry.example.com/scores:1.0.0", To: "registry.example.com/scores:1.1.0"}}},
		{Verb: steering.Abort},
		{Verb: steering.Hold, Releases: []string{"scores-1"}},
		{Verb: steering.Rollback, Releases: []string{"scores-1"}},
	}
	if diff := cmp.Diff(want, got.Environments[0].Verbs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(named{"scores-1", "1.0.0"}, got.Environments[0].Runs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]passage{{"production", v1alpha1.StepVerified, 70}}, got.History[1].Passed); diff != "" || got.Release.Name != "scores-2" {
		t.Errorf("%+v -want +got:\n%s", got.Release, diff)
	}
}

func TestDatabaseIsToldByItsFiles(t *testing.T) {
	file := func(version int64, name string) v1alpha1.MigrationFile {
		return v1alpha1.MigrationFile{Version: version, Name: name}
	}
	half := metav1.Duration{Duration: 500 * time.Millisecond}
	evidence := &v1alpha1.ReleaseEnvironmentStatus{Database: &v1alpha1.DatabaseEvidence{
		Check:    &v1alpha1.CheckEvidence{From: 1, Target: 4, Pending: []v1alpha1.MigrationFile{file(2, "add"), file(4, "more")}, Held: []v1alpha1.MigrationFile{file(3, "drop")}},
		Applied:  []v1alpha1.AppliedMigration{{Version: 2, Name: "add", Duration: half}},
		Contract: &v1alpha1.ContractEvidence{Backup: &v1alpha1.BackupEvidence{Name: "b", Size: 9}, Applied: []v1alpha1.AppliedMigration{{Version: 3, Name: "drop"}}},
	}}
	evidence.Database.Rehearsal = &v1alpha1.RehearsalEvidence{Statements: []v1alpha1.RehearsedStatement{{Migration: "add", Duration: half}}}
	evidence.Database.Contract.Rehearsal = &v1alpha1.RehearsalEvidence{Statements: []v1alpha1.RehearsedStatement{{Migration: "drop", Duration: half}}}
	got := databaseOf(evidence)
	want := []migration{
		{Version: 2, Name: "add", State: "applied", Seconds: new(0.5)}, {Version: 3, Name: "drop", State: "applied", Seconds: new(0.0)}, {Version: 4, Name: "more", State: "pending"},
	}
	if diff := cmp.Diff(want, got.Migrations); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]statement{{Migration: "add", Seconds: 0.5}, {Migration: "drop", Seconds: 0.5}}, got.Slowest); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(got.Backups) != 1 || got.Backups[0].Bytes != 9 || got.Backups[0].Unproved || *got.From != 1 || *got.To != 4 {
		t.Errorf("%+v", got)
	}
	evidence.Database.Contract.Backup.Method, evidence.Database.Contract.Backup.Source = v1alpha1.BackupCloudNativePG, "pg"
	if b := databaseOf(evidence).Backups[0]; !b.Unproved || b.Place != "CloudNativePG of pg" {
		t.Errorf("a backup that somebody else has made: %+v", b)
	}
	if got := databaseOf(&v1alpha1.ReleaseEnvironmentStatus{}); got != nil {
		t.Errorf("without evidence: %+v", got)
	}
	evidence.Database.Check.From = -1
	if got := databaseOf(evidence); got.From != nil {
		t.Errorf("an unknown version is told as %d", *got.From)
	}
}
