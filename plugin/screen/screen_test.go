package screen_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
	"github.com/mirubato/mirubato/plugin/database"
	"github.com/mirubato/mirubato/plugin/screen"
)

var update = flag.Bool("update", false, "write the screens anew")

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// rolling is a Microservice in the middle of a rollout.
func rolling() *v1alpha1.Microservice {
	deadline := metav1.NewTime(now.Add(30 * time.Second))
	return &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Name: "scores", Namespace: "music", Generation: 4, CreationTimestamp: ago(48 * time.Hour)},
		Spec: v1alpha1.MicroserviceSpec{
			Image: "registry.example.com/scores:1.1.0",
			Environments: []v1alpha1.EnvironmentSpec{
				{Name: "development", Namespace: "scores-development"},
				{Name: "staging", Namespace: "scores-staging", Rollout: &v1alpha1.RolloutSpec{Steps: []v1alpha1.RolloutStep{{Weight: 20}, {Weight: 50}}}},
				{Name: "production", Namespace: "scores-production"},
			},
		},
		Status: v1alpha1.MicroserviceStatus{
			ObservedGeneration: 4, Release: "scores-2",
			Summary: "1.1.0: development verified, staging canary 20%, production waiting for Approval",
			Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Approval", Message: "production: scores-2 needs 1 approval"},
				{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue},
			},
			Environments: []v1alpha1.EnvironmentStatus{
				{
					Name: "development", Namespace: "scores-development", Target: "scores-2", Step: v1alpha1.StepVerified, Release: "scores-2", Verified: "scores-2",
					Replicas: 1, ReadyReplicas: 1, SchemaVersion: new(int64(17)), Settings: &v1alpha1.SettingsStatus{Generation: 2, Acknowledged: 1, Pods: 1},
				},
				{
					Name: "staging", Namespace: "scores-staging", Target: "scores-2", Step: v1alpha1.StepCanary, Weight: 20, Release: "scores-1", Verified: "scores-1",
					Replicas: 2, ReadyReplicas: 2, SchemaVersion: new(int64(17)),
					Settings:   &v1alpha1.SettingsStatus{Generation: 1, Acknowledged: 2, Pods: 3, Rejected: []v1alpha1.SettingsRejection{{Pod: "scores-canary-x", Reason: "rateLimits.default.window: must not be 0s"}}},
					WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitStep, Message: "20% of the requests go to scores-2", Since: ago(30 * time.Second), Deadline: &deadline},
				},
				{
					Name: "production", Namespace: "scores-production", Target: "scores-2", Step: v1alpha1.StepAdmit, Release: "scores-1", Verified: "scores-1",
					Replicas: 3, ReadyReplicas: 3, SchemaVersion: new(int64(16)), Held: &v1alpha1.Hold{Release: "scores-1", Since: ago(time.Hour)},
					WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval, Message: "scores-2 needs 1 approval to enter production", Since: ago(2 * time.Hour), Unblock: "kubectl create -f - <<EOF\nkind: Approval\nEOF"},
				},
			},
		},
	}
}

func releases() []v1alpha1.Release {
	admitted, promoted, verified := ago(10*time.Minute), ago(9*time.Minute), ago(8*time.Minute)
	return []v1alpha1.Release{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "scores-2", Namespace: "music", CreationTimestamp: ago(11 * time.Minute)},
			Spec:       v1alpha1.ReleaseSpec{Microservice: "scores", Number: 2, Version: "1.1.0", Author: "ada", Image: "registry.example.com/scores@sha256:ab"},
			Status: v1alpha1.ReleaseStatus{Active: true, Summary: "development verified, staging canary 20%", Environments: []v1alpha1.ReleaseEnvironmentStatus{
				{Name: "development", Step: v1alpha1.StepVerified, AdmittedAt: &admitted, PromotedAt: &promoted, VerifiedAt: &verified, SchemaVersion: new(int64(17)), ApprovedBy: []string{"grace"}},
				{
					Name: "staging", Step: v1alpha1.StepCanary, AdmittedAt: &verified,
					SmokeTests: []v1alpha1.SmokeResult{{Target: v1alpha1.SmokeCanary, Name: "reads", Attempts: 2, Message: "status 500", Time: ago(time.Minute)}},
					Analysis:   []v1alpha1.AnalysisSample{{Time: ago(20 * time.Second), Weight: 20, Verdict: v1alpha1.VerdictNotEnoughData, Message: "12 of 50 requests"}},
				},
			}},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "scores-1", Namespace: "music", CreationTimestamp: ago(48 * time.Hour)},
			Spec:       v1alpha1.ReleaseSpec{Microservice: "scores", Number: 1, Version: "1.0.0", Image: "registry.example.com/scores@sha256:cd"},
			Status: v1alpha1.ReleaseStatus{Summary: "verified everywhere", Rejection: &v1alpha1.Rejection{
				Environment: "staging", Step: v1alpha1.StepCanary, Reason: v1alpha1.FailureAnalysis, Message: "5.1% errors against 0.2%", Time: ago(time.Hour),
			}},
		},
	}
}

// schemas are an environment in which something is to come, and one that no release has come to.
func schemas() []database.Environment {
	took := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	return []database.Environment{
		{
			Name: "staging", Release: "scores-2", Step: v1alpha1.StepExpand, SchemaVersion: new(int64(17)), SchemaFloor: new(int64(15)), CheckedBy: "scores-2",
			Findings: []string{"large-index: 18_index.sql:3: it takes long"},
			Migrations: []database.Migration{
				{Version: 17, Name: "17_add.sql", Kind: database.Expand, State: database.Applied, Release: "scores-1", Took: took(21450012), Rehearsed: took(1234567)},
				{Version: 18, Name: "18_index.sql", Kind: database.Expand, State: database.Pending, Release: "scores-2", Rehearsed: took(83 * time.Second)},
				{Version: 19, Name: "19_drop.sql", Kind: database.Contract, State: database.Held, Release: "scores-2"},
			},
			Backfills:     []database.BackfillDone{{Release: "scores-1", BackfillEvidence: v1alpha1.BackfillEvidence{Name: "titles", Rows: 1000, Changed: 12}}},
			BackfillsLeft: 1,
			Rehearsal: &database.Rehearsal{Release: "scores-2", RehearsalEvidence: v1alpha1.RehearsalEvidence{
				Mode: v1alpha1.RehearseData, Backup: "20260301T080000Z-aaaaaaaa", From: 17, To: 18, Statements: []v1alpha1.RehearsedStatement{{
					Migration: "18_index.sql", Statement: "CREATE INDEX works_by_title\n  ON works (title)", Duration: *took(83 * time.Second),
					Locks: []string{"ShareLock on public.works"}, Rewrites: []string{"public.works"},
				}},
			}},
			ContractRehearsal: &database.Rehearsal{Release: "scores-1", RehearsalEvidence: v1alpha1.RehearsalEvidence{
				Mode: v1alpha1.RehearseSchema, From: 14, To: 15, Statements: []v1alpha1.RehearsedStatement{{
					Migration: "15_drop.sql", Statement: "ALTER TABLE works DROP COLUMN old", Duration: *took(2 * time.Millisecond),
					Locks: []string{"AccessExclusiveLock on public.works"},
				}},
			}},
			Drift:   database.Drift{State: database.DriftNone, Message: "check, backup of scores-2 have found the same schema"},
			Waiting: &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: "the migrations are running", Since: ago(90 * time.Second)},
		},
		{
			Name: "production",
			Rejection: &database.Rejection{Release: "scores-2", Rejection: v1alpha1.Rejection{
				Environment: "production", Step: v1alpha1.StepCheck, Reason: v1alpha1.FailureMigration, Message: "migration 18_index.sql: index-not-concurrent", Time: ago(time.Hour),
			}},
		},
	}
}

func backups() []database.Backup {
	made := func(name string, age time.Duration, newer int, retain int32) database.Backup {
		return database.Backup{
			Environment: "production", Release: "scores-2", Before: database.Expand, Verdict: database.VerdictEqual,
			Took: metav1.Duration{Duration: 62300 * time.Millisecond}, Newer: newer, Retain: retain,
			BackupEvidence: v1alpha1.BackupEvidence{
				Name: name, ClaimName: "scores-backups", StartedAt: ago(age), FinishedAt: ago(age - 62300*time.Millisecond), Size: 1234567, Tables: 8, Rows: 508,
				LSN: "0/16B3748", SchemaVersion: 16, Database: "scores", ServerVersion: "15.18", SHA256: "ab", Restored: metav1.Duration{Duration: 40 * time.Second},
			},
		}
	}
	return []database.Backup{
		made("20260301T080000Z-aaaaaaaa", 4*time.Hour, 0, 2), made("20260228T080000Z-bbbbbbbb", 28*time.Hour, 1, 2),
		made("20260227T080000Z-cccccccc", 52*time.Hour, 2, 2), made("20260226T080000Z-dddddddd", 76*time.Hour, 3, 0),
	}
}

// backupsOfOthers are those of which less is known.
func backupsOfOthers() []database.Backup {
	made := func(name string, method v1alpha1.BackupMethod, source, lsn string, size int64) database.Backup {
		return database.Backup{
			Environment: "production", Release: "scores-2", Before: database.Expand, Verdict: database.VerdictNotRestored,
			Took: metav1.Duration{Duration: time.Minute}, Retain: 2,
			BackupEvidence: v1alpha1.BackupEvidence{
				Name: name, Method: method, Source: source, StartedAt: ago(time.Hour), FinishedAt: ago(59 * time.Minute), LSN: lsn, Size: size,
			},
		}
	}
	return []database.Backup{
		made("scores-backup-0123456789", v1alpha1.BackupCloudNativePG, "pg", "0/5000100", 0),
		made("scores-backup-abcdef0123", v1alpha1.BackupVolumeSnapshot, "data-pg-0", "", 1<<30),
	}
}

func loss() database.Loss {
	return database.Loss{
		Taken: now.Add(-4 * time.Hour), Then: new(int64(16)), Now: new(int64(18)), Releases: []string{"scores-3", "scores-2"},
		Migrations: []v1alpha1.AppliedMigration{{Version: 17, Name: "17_add.sql"}, {Version: 18, Name: "18_index.sql"}},
	}
}

// TestScreens holds every screen against a file that reads as a person would see it.
func TestScreens(t *testing.T) {
	changes := []change.Change{
		{Path: "image", From: "scores:1.0.0", To: "scores:1.1.0"},
		{Path: "settings.logging.level", To: "debug"},
		{Path: "workload.priorityClassName", From: "high"},
	}
	idle := rolling()
	idle.Status.Conditions, idle.Status.Environments = nil, nil
	for name, got := range map[string]string{
		"list":      screen.List([]v1alpha1.Microservice{*rolling()}, false, false, now),
		"list-wide": screen.List([]v1alpha1.Microservice{*rolling()}, true, true, now),
		"status":    screen.Status(rolling(), releases(), false, now),
		"unseen":    screen.Status(idle, nil, false, now),
		"why":       screen.Why(rolling(), releases(), "", now),
		"why-one":   screen.Why(rolling(), releases(), "production", now),
		"history":   screen.History(releases(), true, now),
		"release":   screen.Release(&releases()[0], now),
		"changes":   screen.Changes("scores-1", "scores-2", changes),
		"plan": screen.Plan("music/scores", change.Plan{Changes: changes, Release: true, Environments: []change.EnvironmentPlan{
			{Name: "staging", Cost: change.CostMigrate}, {Name: "production", Cost: change.CostMigrate, Gates: []string{"the environment before has verified it", "1 approval"}},
		}}),
		"migrations":      screen.Migrations(schemas(), false, now),
		"migrations-wide": screen.Migrations(schemas(), true, now),
		"backups":         screen.Backups(backups(), false, now),
		"backups-others":  screen.Backups(backupsOfOthers(), true, now),
		"backups-wide":    screen.Backups(backups()[:1], true, now),
		"loss":            screen.Loss("production", "20260301T080000Z-aaaaaaaa", loss(), now),
		"loss-unknown":    screen.Loss("production", "20260301T080000Z-aaaaaaaa", database.Loss{Taken: now.Add(-5 * time.Hour)}, now),
		"restored": screen.Use(screen.Restored{
			Environment: "production", Namespace: "scores-production", Database: "scores_restored", Rows: 1, Tables: 8, Took: 12340 * time.Millisecond,
			Secrets: []string{"scores-database (key url)", "scores-database-owner (key url)"}, Then: new(int64(16)), Now: new(int64(18)),
		}),
		"settings": screen.Settings([]screen.PodSettings{{Environment: "staging", Pod: "scores-a", Generation: "2", Ready: true}, {Environment: "staging", Pod: "scores-b", Refused: "window: must not be 0s"}}),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if difference := cmp.Diff(string(want), got); difference != "" {
				t.Errorf("another screen; if it is right, write it with -update:\n%s", difference)
			}
		})
	}
}
