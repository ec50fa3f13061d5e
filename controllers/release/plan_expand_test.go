package release

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	expand := step(v1alpha1.StepExpand)
	failed := func(ago time.Duration) change {
		return func(in *Input) {
			in.Facts.Migration.Failed, in.Facts.Migration.FailedAt = true, noon.Add(-ago)
		}
	}
	busy := func(in *Input) { in.Facts.Stable.Complete = false }
	retry := func(in *Input) {
		in.Facts.Migration.Waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitDatabase, Message: "is away", Deadline: &metav1.Time{Time: noon.Add(5 * time.Second)}}
	}
	none := func(in *Input) { in.Target.Migration, in.Fallback.Migration, in.Facts.Stable.Migration = "", "", "" }
	cases{
		"migrations run while the old pods serve":     {input(expand), "Expand: keep(scores-1) migrate wait Migration"},
		"an attempt that is due later is waited for":  {input(expand, retry), "Expand: keep(scores-1) migrate wait Database look 5s"},
		"without a database there are none":           {input(expand, none), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"nor if the run came before the last release": {input(expand, func(in *Input) { in.Facts.Stable.Migration = "m2" }), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"a refusal rejects":                           {input(expand, failed(time.Minute)), "RollBack: wait Rejected look 0s rejects MigrationFailed at Expand"},
		"one from before the admission is forgotten":  {input(expand, failed(time.Hour)), "Expand: keep(scores-1) forgetmigration wait Migration"},
		"a first release is rejected as well":         {input(expand, failed(time.Minute), first), "RollBack: wait Rejected look 0s rejects MigrationFailed at Expand"},
		"the old pods are asked on the new schema":    {input(expand, migrated, smoke(v1alpha1.SmokeStable, Smoke{})), "Expand: keep(scores-1) smoke(Stable) wait SmokeTest look 0s"},
		"if they fail the release is rejected":        {input(expand, migrated, smoke(v1alpha1.SmokeStable, Smoke{State: SmokeFailed})), "RollBack: wait Rejected look 0s rejects SmokeTestFailed at Expand"},
		"if they pass the canary starts":              {input(expand, migrated, smoke(v1alpha1.SmokeStable, Smoke{State: SmokePassed})), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"they are asked once they are back":           {input(expand, migrated, busy, smoke(v1alpha1.SmokeStable, Smoke{})), "Expand: keep(scores-1) wait Pods look 10m0s"},
		"pods that stay away keep nothing out": {
			input(expand, migrated, busy, smoke(v1alpha1.SmokeStable, Smoke{}), func(in *Input) { in.Record.PendingSince = ago(10 * time.Minute) }),
			"Canary: keep(scores-1) start(20) wait Pods look 10m0s",
		},
		"there is nobody to ask before a first release":  {input(expand, migrated, first, smoke(v1alpha1.SmokeStable, Smoke{})), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"evidence that is lost later runs nothing again": {input(weight(20), func(in *Input) { in.Facts.Migration.Done = false }), "Canary: keep(scores-1) start(50) shift(20) wait Pods look 10m0s"},
	}.run(t)
}

func TestSchemaVersionIsRecorded(t *testing.T) {
	t.Parallel()
	version := int64(7)
	in := input(step(v1alpha1.StepExpand), migrated, func(in *Input) { in.Facts.Migration.SchemaVersion = &version })
	if record := New(in).Record; record.SchemaVersion == nil || *record.SchemaVersion != 7 {
		t.Errorf("schema version 7 is not recorded: %+v", record)
	}
}

// The attempt that ends a stage does not tell of those before it.
func TestWhatWasAppliedIsTheWholeOfIt(t *testing.T) {
	t.Parallel()
	files := []v1alpha1.MigrationFile{{Version: 3, Name: "3_add.sql"}, {Version: 4, Name: "4_fill.sql"}}
	took := func(version int64, name string) v1alpha1.AppliedMigration {
		return v1alpha1.AppliedMigration{Version: version, Name: name, Duration: metav1.Duration{Duration: time.Second}}
	}
	for name, tc := range map[string]struct {
		files      []v1alpha1.MigrationFile
		told, want []v1alpha1.AppliedMigration
	}{
		"one attempt did all":                   {files, []v1alpha1.AppliedMigration{took(3, "3_add.sql"), took(4, "4_fill.sql")}, []v1alpha1.AppliedMigration{took(3, "3_add.sql"), took(4, "4_fill.sql")}},
		"the one before did the first":          {files, []v1alpha1.AppliedMigration{took(4, "4_fill.sql")}, []v1alpha1.AppliedMigration{{Version: 3, Name: "3_add.sql"}, took(4, "4_fill.sql")}},
		"the one before did all, and died":      {files, nil, []v1alpha1.AppliedMigration{{Version: 3, Name: "3_add.sql"}, {Version: 4, Name: "4_fill.sql"}}},
		"more than was known when it was asked": {nil, []v1alpha1.AppliedMigration{took(5, "5_new.sql")}, []v1alpha1.AppliedMigration{took(5, "5_new.sql")}},
	} {
		if diff := cmp.Diff(tc.want, appliedOf(tc.files, tc.told)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check := &v1alpha1.CheckEvidence{Pending: files[:1], Held: files[1:]}
	expanded := New(input(step(v1alpha1.StepExpand), migrated, func(in *Input) {
		in.Record.Database = &v1alpha1.DatabaseEvidence{Check: check}
	})).Record.Database
	if diff := cmp.Diff([]v1alpha1.AppliedMigration{{Version: 3, Name: "3_add.sql"}}, expanded.Applied); diff != "" {
		t.Errorf("after the expansion (-want +got):\n%s", diff)
	}
}
