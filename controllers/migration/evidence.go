package migration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Bounds of what a release keeps.
const (
	maxApplied    = 20
	maxFiles      = 50
	maxStatements = 10
	maxNames      = 10
)

// Evidence is what a Job has found out; each stage sets its own.
type Evidence struct {
	v1alpha1.DatabaseEvidence

	// SchemaVersion after the migrations, if it is known.
	SchemaVersion *int64
}

// evidence is what the pods of a Job that succeeded have left behind. complete says whether it is what the stage is there for.
func (s Stage) evidence(pods []corev1.Pod) (out Evidence, complete bool) {
	switch s {
	case Check:
		return checked(pods)
	case BackUp:
		report, ok := reportOf[contract.BackupReport](pods, contract.BackupReportVersion)
		if !ok || !report.Verified {
			return Evidence{}, false
		}
		out.Backup = backupEvidence(report)
		return out, true
	case Backfill:
		report, ok := reportOf[contract.BackfillReport](pods, contract.BackfillReportVersion)
		if !ok || !report.Done {
			return Evidence{}, false
		}
		out.Backfills = backfills(report.Backfills)
		return out, true
	case Rehearse, RehearseContract:
		return s.rehearsed(pods)
	}
	report, ok := reportOf[contract.MigrationReport](pods, contract.MigrationReportVersion)
	if !ok {
		return Evidence{}, false
	}
	return expandEvidence(report), true
}

// rehearsed is complete where the migrations of the stage's own phase have passed.
func (s Stage) rehearsed(pods []corev1.Pod) (out Evidence, complete bool) {
	report, ok := reportOf[contract.RehearsalReport](pods, contract.RehearsalReportVersion)
	if !ok || !report.Passed || !report.IsOf(s.phase()) {
		return Evidence{}, false
	}
	out.Rehearsal = rehearsalEvidence(report)
	return out, true
}

// checked is also what a check has found that was refused.
func checked(pods []corev1.Pod) (out Evidence, complete bool) {
	report, ok := reportOf[contract.CheckReport](pods, contract.CheckReportVersion)
	if !ok {
		return Evidence{}, false
	}
	out.Check = checkEvidence(report)
	return out, report.Passed
}

func backfills(all []contract.BackfillState) []v1alpha1.BackfillEvidence {
	var out []v1alpha1.BackfillEvidence
	for _, b := range all[:min(len(all), maxApplied)] {
		out = append(out, v1alpha1.BackfillEvidence{Name: b.Name, Rows: b.Rows, Changed: b.Changed})
	}
	return out
}

// errorOf returns what stopped mirubato-migrate, or nil if it did not come that far or its pod is gone.
func errorOf(pods []corev1.Pod) *contract.MigrationError {
	// Reports of all stages have it in the same place, and the same version.
	report, ok := reportOf[struct {
		Error *contract.MigrationError `json:"error"`
	}](pods, contract.MigrationReportVersion)
	if !ok {
		return nil
	}
	return report.Error
}

func checkEvidence(r contract.CheckReport) *v1alpha1.CheckEvidence {
	out := &v1alpha1.CheckEvidence{
		From: r.Schema.Current, Target: r.Schema.Target, Floor: r.Schema.Floor, Fingerprint: r.Fingerprint,
		Database: r.Database.Name, SystemIdentifier: r.Database.System, Owner: r.Schema.Owner,
		Pending: files(r.Pending), Held: files(r.Held),
	}
	for _, backfill := range r.Backfills {
		if backfill.State != contract.BackfillDone {
			out.Backfills++
		}
	}
	for _, finding := range r.Preflight {
		out.Findings = append(out.Findings, fmt.Sprintf("%s: %s", finding.Rule, finding.Message))
	}
	out.Findings = append(out.Findings, linted(r.Lint)...)
	out.Findings = out.Findings[:min(len(out.Findings), maxNames)]
	return out
}

// linted is what lint has found and a person should look at; findings of level info are worth no line of a Release.
func linted(report *contract.LintReport) []string {
	if report == nil {
		return nil
	}
	var out []string
	for _, finding := range report.Findings {
		if finding.Level != contract.LintInfo {
			out = append(out, fmt.Sprintf("%s: %s:%d: %s", finding.Rule, path.Base(finding.File), finding.Line, finding.Message))
		}
	}
	return out
}

// reportOf returns what mirubato-migrate reported. It is false if it did not come that far, its pod is gone, or the report is of a
// version that is not known here.
func reportOf[R any](pods []corev1.Pod, version int) (report R, ok bool) {
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			if status.Name != containerMigrate || status.State.Terminated == nil {
				continue
			}
			message := []byte(status.State.Terminated.Message)
			var head struct {
				ReportVersion int `json:"reportVersion"`
			}
			if json.Unmarshal(message, &head) != nil || head.ReportVersion != version {
				continue
			}
			var found R
			if json.Unmarshal(message, &found) == nil {
				return found, true
			}
		}
	}
	return report, false
}

func backupEvidence(r contract.BackupReport) *v1alpha1.BackupEvidence {
	out := &v1alpha1.BackupEvidence{
		Name: r.Name,
		// Statuses keep whole seconds; anything finer would look like a change.
		StartedAt:        metav1.Time{Time: r.Started}.Rfc3339Copy(),
		FinishedAt:       metav1.Time{Time: r.Finished}.Rfc3339Copy(),
		Restored:         metav1.Duration{Duration: r.VerifyDuration},
		Size:             r.Size,
		Tables:           int64(r.TableCount),
		Rows:             r.Rows,
		LSN:              r.LSN,
		SchemaVersion:    r.SchemaVersion,
		Fingerprint:      r.Fingerprint,
		Database:         r.Database,
		SystemIdentifier: r.SystemIdentifier,
		ServerVersion:    r.ServerVersion,
	}
	if len(r.Files) > 0 {
		out.SHA256 = r.Files[0].SHA256
	}
	return out
}

func rehearsalEvidence(r contract.RehearsalReport) *v1alpha1.RehearsalEvidence {
	out := &v1alpha1.RehearsalEvidence{
		Mode: v1alpha1.Rehearsal(r.Mode), Backup: r.Backup, From: r.From, To: r.To, Fingerprint: r.FingerprintBefore,
		DatabaseFingerprint: r.DatabaseFingerprint, Files: files(r.Files),
	}
	for _, statement := range slowest(r.Statements) {
		out.Statements = append(out.Statements, v1alpha1.RehearsedStatement{
			Migration: statement.Migration,
			Statement: statement.Statement,
			Duration:  metav1.Duration{Duration: statement.Duration},
			Locks:     locks(statement.Locks),
			Rewrites:  statement.Rewrites[:min(len(statement.Rewrites), maxNames)],
		})
	}
	return out
}

// slowest keeps the statements that took longest, in their order.
func slowest(all []contract.RehearsedStatement) []contract.RehearsedStatement {
	if len(all) <= maxStatements {
		return all
	}
	durations := slices.SortedFunc(slices.Values(all), func(a, b contract.RehearsedStatement) int { return cmp.Compare(b.Duration, a.Duration) })
	least := durations[maxStatements-1].Duration
	var out []contract.RehearsedStatement
	for _, statement := range all {
		if statement.Duration >= least && len(out) < maxStatements {
			out = append(out, statement)
		}
	}
	return out
}

func locks(all []contract.RehearsedLock) []string {
	var out []string
	for _, lock := range all[:min(len(all), maxNames)] {
		out = append(out, fmt.Sprintf("%s on %s", lock.Mode, lock.Relation))
	}
	return out
}

func files(all []contract.PendingMigration) []v1alpha1.MigrationFile {
	var out []v1alpha1.MigrationFile
	for _, file := range all[:min(len(all), maxFiles)] {
		out = append(out, v1alpha1.MigrationFile{Version: file.Version, Name: file.Name, Phase: file.Phase, Checksum: file.Checksum})
	}
	return out
}

func expandEvidence(r contract.MigrationReport) Evidence {
	var out Evidence
	for _, applied := range r.Applied[max(0, len(r.Applied)-maxApplied):] {
		out.Applied = append(out.Applied, v1alpha1.AppliedMigration{
			Version: applied.Version, Name: applied.Name, Duration: metav1.Duration{Duration: applied.Duration},
		})
	}
	if r.To >= 0 {
		out.SchemaVersion = &r.To
	}
	return out
}
