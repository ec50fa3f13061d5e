package database_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/database"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(after time.Duration) metav1.Time { return metav1.NewTime(noon.Add(after)) }

func took(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// microservice has one environment, which is on its way to a release.
func microservice(target string, changes ...func(*v1alpha1.Microservice)) *v1alpha1.Microservice {
	ms := &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Name: "scores", Namespace: "music"},
		Spec:       v1alpha1.MicroserviceSpec{Environments: []v1alpha1.EnvironmentSpec{{Name: "production", Namespace: "scores-production"}}},
		Status: v1alpha1.MicroserviceStatus{Environments: []v1alpha1.EnvironmentStatus{{
			Name: "production", Target: target, Release: target, Step: v1alpha1.StepVerified, SchemaVersion: new(int64(18)),
		}}},
	}
	for _, change := range changes {
		change(ms)
	}
	return ms
}

// release is one that has evidence of the database in production.
func release(number int64, evidence v1alpha1.DatabaseEvidence, changes ...func(*v1alpha1.Release)) v1alpha1.Release {
	out := v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("scores-%d", number)},
		Spec:       v1alpha1.ReleaseSpec{Microservice: "scores", Number: number},
		Status: v1alpha1.ReleaseStatus{Environments: []v1alpha1.ReleaseEnvironmentStatus{
			{Name: "staging", Database: &v1alpha1.DatabaseEvidence{Applied: []v1alpha1.AppliedMigration{{Version: 99, Name: "99_elsewhere.sql"}}}},
			{Name: "production", Database: &evidence},
		}},
	}
	for _, change := range changes {
		change(&out)
	}
	return out
}

func applied(version int64, name string, d time.Duration) v1alpha1.AppliedMigration {
	return v1alpha1.AppliedMigration{Version: version, Name: name, Duration: *took(d)}
}

func file(version int64, name, phase string) v1alpha1.MigrationFile {
	return v1alpha1.MigrationFile{Version: version, Name: name, Phase: phase}
}

func TestMigrationsOfAnEnvironment(t *testing.T) {
	add := release(6, v1alpha1.DatabaseEvidence{
		Check: &v1alpha1.CheckEvidence{
			Pending: []v1alpha1.MigrationFile{file(16, "16_add.sql", "expand")}, Held: []v1alpha1.MigrationFile{file(17, "17_drop.sql", "contract")},
			Backfills: 1, Findings: []string{"old"},
		},
		Applied:      []v1alpha1.AppliedMigration{applied(16, "16_add.sql", 20*time.Millisecond)},
		BackfilledAt: new(at(0)), Backfills: []v1alpha1.BackfillEvidence{{Name: "titles", Rows: 10, Changed: 2}},
		Rehearsal: &v1alpha1.RehearsalEvidence{
			Mode: v1alpha1.RehearseSchema, Files: []v1alpha1.MigrationFile{file(16, "16_add.sql", "expand")},
			Statements: []v1alpha1.RehearsedStatement{{Migration: "16_add.sql", Duration: *took(2)}, {Migration: "16_add.sql", Duration: *took(3)}},
		},
		Contract: &v1alpha1.ContractEvidence{
			Applied: []v1alpha1.AppliedMigration{applied(17, "17_drop.sql", time.Second)},
			Rehearsal: &v1alpha1.RehearsalEvidence{Files: []v1alpha1.MigrationFile{file(17, "17_drop.sql", "contract")}, Statements: []v1alpha1.RehearsedStatement{
				{Migration: "17_drop.sql", Duration: *took(4)},
			}},
		},
	})
	gaveWay := release(7, v1alpha1.DatabaseEvidence{
		Check: &v1alpha1.CheckEvidence{Pending: []v1alpha1.MigrationFile{file(18, "18_wrong.sql", "expand")}},
		Rehearsal: &v1alpha1.RehearsalEvidence{Files: []v1alpha1.MigrationFile{file(18, "18_wrong.sql", "expand")}, Statements: []v1alpha1.RehearsedStatement{
			{Migration: "18_wrong.sql", Duration: *took(1)},
		}},
	})
	next := release(8, v1alpha1.DatabaseEvidence{
		Check: &v1alpha1.CheckEvidence{
			Pending: []v1alpha1.MigrationFile{file(18, "18_right.sql", "expand"), file(19, "19_more.sql", "expand")},
			Held:    []v1alpha1.MigrationFile{file(20, "20_drop.sql", "contract")}, Backfills: 2, Findings: []string{"large-index: it is large"},
		},
		Applied: []v1alpha1.AppliedMigration{applied(18, "18_right.sql", time.Minute)},
	})
	settingsOnly := v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "scores-9"}, Spec: v1alpha1.ReleaseSpec{Number: 9}}
	// In any order, as an API server may list them.
	got := database.Environments(microservice("scores-8"), []v1alpha1.Release{gaveWay, settingsOnly, next, add})[0]
	want := []database.Migration{
		{Version: 16, Name: "16_add.sql", Kind: database.Expand, State: database.Applied, Release: "scores-6", Took: took(20 * time.Millisecond), Rehearsed: took(5)},
		{Version: 17, Name: "17_drop.sql", Kind: database.Contract, State: database.Applied, Release: "scores-6", Took: took(time.Second), Rehearsed: took(4)},
		{Version: 18, Name: "18_right.sql", Kind: database.Expand, State: database.Applied, Release: "scores-8", Took: took(time.Minute)}, // another of that number was rehearsed
		{Version: 19, Name: "19_more.sql", Kind: database.Expand, State: database.Pending, Release: "scores-8"},
		{Version: 20, Name: "20_drop.sql", Kind: database.Contract, State: database.Held, Release: "scores-8"},
	}
	if diff := cmp.Diff(want, got.Migrations); diff != "" {
		t.Errorf("migrations (-want +got):\n%s", diff)
	}
	if got.CheckedBy != "scores-8" || got.BackfillsLeft != 2 || len(got.Backfills) != 1 || got.Backfills[0].Release != "scores-6" || got.Rehearsal.Release != "scores-7" || got.ContractRehearsal.Release != "scores-6" {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]string{"large-index: it is large"}, got.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestAnEnvironmentThatNobodyHasCome(t *testing.T) {
	waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitDatabase, Message: "it is away"}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.Microservice)
		want   database.Environment
	}{
		"without a status": {func(ms *v1alpha1.Microservice) { ms.Status.Environments = nil }, database.Environment{}},
		"waiting for its database": {
			func(ms *v1alpha1.Microservice) { ms.Status.Environments[0].WaitingFor = waiting },
			database.Environment{Release: "scores-1", Step: v1alpha1.StepVerified, SchemaVersion: new(int64(18)), Waiting: waiting},
		},
		"waiting for something else": {
			func(ms *v1alpha1.Microservice) {
				ms.Status.Environments[0].WaitingFor = &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval}
			},
			database.Environment{Release: "scores-1", Step: v1alpha1.StepVerified, SchemaVersion: new(int64(18))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.Name, tc.want.Migrations = "production", []database.Migration{}
			tc.want.Drift = database.Drift{State: database.DriftUnknown, Message: "no release that is kept has looked at the schema"}
			if diff := cmp.Diff([]database.Environment{tc.want}, database.Environments(microservice("scores-1", tc.change), nil)); diff != "" {
				t.Errorf("environments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDrift(t *testing.T) {
	looked := func(check, backup, rehearsal string) v1alpha1.DatabaseEvidence {
		out := v1alpha1.DatabaseEvidence{Check: &v1alpha1.CheckEvidence{Fingerprint: check}}
		if backup != "" {
			out.Backup = &v1alpha1.BackupEvidence{Fingerprint: backup}
		}
		if rehearsal != "" {
			out.Rehearsal = &v1alpha1.RehearsalEvidence{Fingerprint: rehearsal}
		}
		return out
	}
	rejected := func(environment string, reason v1alpha1.FailureReason) func(*v1alpha1.Release) {
		return func(r *v1alpha1.Release) {
			r.Status.Rejection = &v1alpha1.Rejection{Environment: environment, Reason: reason, Message: "changed"}
		}
	}
	removing := func(backup, copied, rehearsal string) v1alpha1.DatabaseEvidence {
		out := looked("a", "a", "a")
		out.Contract = &v1alpha1.ContractEvidence{
			Backup: &v1alpha1.BackupEvidence{Fingerprint: backup}, Rehearsal: &v1alpha1.RehearsalEvidence{Fingerprint: copied, DatabaseFingerprint: rehearsal},
		}
		return out
	}
	newer := looked("a", "a", "b")
	newer.Rehearsal.DatabaseFingerprint = "a"
	for name, tc := range map[string]struct {
		releases []v1alpha1.Release
		want     database.DriftState
	}{
		"a copy on a newer server":         {[]v1alpha1.Release{release(1, newer)}, database.DriftNone},
		"the same before a removal":        {[]v1alpha1.Release{release(1, removing("b", "c", "b"))}, database.DriftNone},
		"another before a removal":         {[]v1alpha1.Release{release(1, removing("b", "b", "c"))}, database.DriftFound},
		"a removal's backup by others":     {[]v1alpha1.Release{release(1, removing("", "b", "b"))}, database.DriftNone},
		"all the same":                     {[]v1alpha1.Release{release(1, looked("a", "a", "a"))}, database.DriftNone},
		"two the same":                     {[]v1alpha1.Release{release(1, looked("a", "", "a"))}, database.DriftNone},
		"the backup saw another":           {[]v1alpha1.Release{release(1, looked("a", "b", "b"))}, database.DriftFound},
		"the rehearsal saw another":        {[]v1alpha1.Release{release(1, looked("a", "a", "b"))}, database.DriftFound},
		"one look":                         {[]v1alpha1.Release{release(1, looked("a", "", ""))}, database.DriftUnknown},
		"a look that could not be had":     {[]v1alpha1.Release{release(1, looked("", "a", ""))}, database.DriftUnknown},
		"none":                             {nil, database.DriftUnknown},
		"rejected for it":                  {[]v1alpha1.Release{release(1, looked("a", "b", ""), rejected("production", v1alpha1.FailureDrift))}, database.DriftFound},
		"rejected for it elsewhere":        {[]v1alpha1.Release{release(1, looked("a", "a", ""), rejected("staging", v1alpha1.FailureDrift))}, database.DriftNone},
		"rejected for something else":      {[]v1alpha1.Release{release(1, looked("a", "a", ""), rejected("production", v1alpha1.FailureMigration))}, database.DriftNone},
		"the last one counts":              {[]v1alpha1.Release{release(1, looked("a", "b", "")), release(2, looked("b", "b", ""))}, database.DriftNone},
		"one that has not looked does not": {[]v1alpha1.Release{release(1, looked("a", "b", "")), release(2, v1alpha1.DatabaseEvidence{})}, database.DriftFound},
	} {
		t.Run(name, func(t *testing.T) {
			got := database.Environments(microservice("scores-1"), tc.releases)[0].Drift
			if got.State != tc.want || got.Message == "" {
				t.Errorf("got %+v, want %s", got, tc.want)
			}
		})
	}
}

func TestRejectionsThatConcernTheDatabase(t *testing.T) {
	rejected := func(environment string, reason v1alpha1.FailureReason) v1alpha1.Release {
		return release(2, v1alpha1.DatabaseEvidence{}, func(r *v1alpha1.Release) {
			r.Status.Rejection = &v1alpha1.Rejection{Environment: environment, Reason: reason, Message: "refused"}
		})
	}
	for name, tc := range map[string]struct {
		releases []v1alpha1.Release
		want     string
	}{
		"for its migrations": {[]v1alpha1.Release{rejected("production", v1alpha1.FailureMigration)}, "scores-2"},
		"for drift":          {[]v1alpha1.Release{rejected("production", v1alpha1.FailureDrift)}, "scores-2"},
		"for its pods":       {[]v1alpha1.Release{rejected("production", v1alpha1.FailurePodsNotReady)}, ""},
		"elsewhere":          {[]v1alpha1.Release{rejected("staging", v1alpha1.FailureMigration)}, ""},
		"and another came":   {[]v1alpha1.Release{rejected("production", v1alpha1.FailureMigration), release(3, v1alpha1.DatabaseEvidence{})}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if r := database.Environments(microservice("scores-1"), tc.releases)[0].Rejection; r != nil {
				got = r.Release
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func backup(name, claim string) *v1alpha1.BackupEvidence {
	return &v1alpha1.BackupEvidence{Name: name, ClaimName: claim, StartedAt: at(0), FinishedAt: at(time.Minute), SchemaVersion: 16}
}

func TestBackupsAreThoseOfTheReleases(t *testing.T) {
	retaining := func(r *v1alpha1.Release) {
		r.Spec.Database = &v1alpha1.DatabaseSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: "database"}, Backup: &v1alpha1.BackupSpec{ClaimName: new("backups"), Retain: new(int32(2))}}
	}
	releases := []v1alpha1.Release{
		release(1, v1alpha1.DatabaseEvidence{Backup: backup("20260301T090000Z-aaaaaaaa", "backups")}),
		release(2, v1alpha1.DatabaseEvidence{
			Backup:   backup("20260301T100000Z-bbbbbbbb", "backups"),
			Contract: &v1alpha1.ContractEvidence{Backup: backup("20260301T110000Z-cccccccc", "backups")},
		}),
		release(3, v1alpha1.DatabaseEvidence{Backup: backup("20260301T080000Z-dddddddd", "another")}, retaining),
	}
	type row struct {
		name, release string
		before        database.Kind
		newer         int
		kept          bool
	}
	rows := func(ms *v1alpha1.Microservice) (out []row) {
		for _, b := range database.Backups(ms, releases) {
			out = append(out, row{b.Name, b.Release, b.Before, b.Newer, b.Kept()})
			if b.Took.Duration != time.Minute || b.Verdict != database.VerdictEqual || b.Environment != "production" {
				t.Errorf("%+v", b)
			}
		}
		return out
	}
	want := []row{
		{"20260301T110000Z-cccccccc", "scores-2", database.Contract, 0, true},
		{"20260301T100000Z-bbbbbbbb", "scores-2", database.Expand, 1, true},
		{"20260301T090000Z-aaaaaaaa", "scores-1", database.Expand, 2, false},
		{"20260301T080000Z-dddddddd", "scores-3", database.Expand, 0, true},
	}
	if diff := cmp.Diff(want, rows(microservice("scores-3")), cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("backups (-want +got):\n%s", diff)
	}
	want[2].kept = true // where no more are made, none is removed
	if diff := cmp.Diff(want, rows(microservice("scores-1")), cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("backups of an environment that makes none any more (-want +got):\n%s", diff)
	}
	if got := database.Backups(microservice("scores-1"), nil); got == nil || len(got) != 0 {
		t.Errorf("got %v, want a list without any", got)
	}
}

func TestBackupsThatOthersMadeAreCountedByTheirSource(t *testing.T) {
	made := func(name string, method v1alpha1.BackupMethod, source string, when time.Duration) *v1alpha1.BackupEvidence {
		return &v1alpha1.BackupEvidence{Name: name, Method: method, Source: source, StartedAt: at(when), FinishedAt: at(when)}
	}
	pg, snap := v1alpha1.BackupCloudNativePG, v1alpha1.BackupVolumeSnapshot
	releases := []v1alpha1.Release{
		release(1, v1alpha1.DatabaseEvidence{Backup: made("z", pg, "pg", time.Minute)}),
		release(2, v1alpha1.DatabaseEvidence{Backup: made("a", pg, "pg", 2*time.Minute)}),
		release(3, v1alpha1.DatabaseEvidence{Backup: made("b", pg, "other", 3*time.Minute)}),
		release(4, v1alpha1.DatabaseEvidence{Backup: made("c", snap, "pg", 4*time.Minute)}),
	}
	var got []string
	for _, b := range database.Backups(microservice("scores-1"), releases) {
		got = append(got, fmt.Sprintf("%s %d %s", b.Name, b.Newer, b.Verdict))
	}
	want := []string{"c 0 not restored by us", "b 0 not restored by us", "a 0 not restored by us", "z 1 not restored by us"} // names say nothing of the time
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("backups (-want +got):\n%s", diff)
	}
}

func TestPlacesOfBackups(t *testing.T) {
	for want, evidence := range map[string]v1alpha1.BackupEvidence{
		"backups":               {ClaimName: "backups"},
		"":                      {},
		"CloudNativePG of pg":   {Method: v1alpha1.BackupCloudNativePG, Source: "pg"},
		"s3://b":                {Bucket: "s3://b?region=eu-central-1"},
		"s3://b/a/mirubato/x/y": {Bucket: "s3://b?endpoint=http%3A%2F%2Fminio%3A9000&prefix=a%2Fmirubato%2Fx%2Fy%2F"},
	} {
		if got := (database.Backup{BackupEvidence: evidence}).Place(); got != want {
			t.Errorf("%+v lies at %q, want %q", evidence, got, want)
		}
	}
}

func TestWhatARestoreLoses(t *testing.T) {
	came := func(evidence v1alpha1.DatabaseEvidence, number int64, when time.Duration) v1alpha1.Release {
		return release(number, evidence, func(r *v1alpha1.Release) {
			r.Status.Environments[1].AdmittedAt = new(at(when))
			r.Status.Environments[1].Steps = []v1alpha1.StepTime{{Step: v1alpha1.StepAdmit, Time: at(when)}, {Step: v1alpha1.StepVerified, Time: at(when + time.Hour)}}
		})
	}
	releases := []v1alpha1.Release{
		came(v1alpha1.DatabaseEvidence{Applied: []v1alpha1.AppliedMigration{applied(15, "15_before.sql", 0)}}, 1, -24*time.Hour),
		came(v1alpha1.DatabaseEvidence{
			Applied: []v1alpha1.AppliedMigration{applied(17, "17_own.sql", 0)}, Contract: &v1alpha1.ContractEvidence{Applied: []v1alpha1.AppliedMigration{applied(18, "18_drop.sql", 0)}},
		}, 2, -time.Minute), // the one that the backup was made for
		came(v1alpha1.DatabaseEvidence{Applied: []v1alpha1.AppliedMigration{applied(19, "19_after.sql", 0)}}, 3, 48*time.Hour),
	}
	for name, tc := range map[string]struct {
		taken      time.Time
		version    *int64
		releases   []string
		migrations []string
	}{
		"by the version of the schema":   {noon, new(int64(16)), []string{"scores-3", "scores-2"}, []string{"17_own.sql", "18_drop.sql", "19_after.sql"}},
		"what is in it is not lost":      {noon, new(int64(18)), []string{"scores-3", "scores-2"}, []string{"19_after.sql"}},
		"by the time, where none is":     {noon.Add(2 * time.Hour), nil, []string{"scores-3"}, []string{"19_after.sql"}},
		"nothing but what users changed": {noon.Add(100 * time.Hour), new(int64(19)), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := database.LossOf(microservice("scores-3"), releases, "production", tc.taken, tc.version)
			var names []string
			for _, m := range got.Migrations {
				names = append(names, m.Name)
			}
			if diff := cmp.Diff(tc.releases, got.Releases) + cmp.Diff(tc.migrations, names); diff != "" || got.Taken != tc.taken || *got.Now != 18 {
				t.Errorf("loss %+v (-want +got):\n%s", got, diff)
			}
		})
	}
}
