package release

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// expand brings the schema to what the target needs, and asks the pods of the release before whether they can live with it.
// Once the release has come further it is not looked at again: what the database holds does not vanish with its evidence.
func (p *pass) expand() *Plan {
	if p.reached(v1alpha1.StepCanary) || p.returns() || p.runs(p.Target) {
		return nil
	}
	p.enter(v1alpha1.StepExpand)
	p.actions = nil // those of the step before, which ended in this pass
	p.stopCanary()
	p.keepOld()
	if p.Target.Migration == "" || p.Facts.Stable.Migration == p.Target.Migration {
		return nil
	}
	if p.nothingPending() {
		p.Record.SchemaVersion = new(p.database().Check.From)
		return nil
	}
	if plan := p.drifted(); plan != nil {
		return plan
	}
	if plan := p.migrate(); plan != nil {
		return plan
	}
	if p.Facts.Migration.SchemaVersion != nil {
		p.Record.SchemaVersion = p.Facts.Migration.SchemaVersion
	}
	if check := p.database().Check; check != nil {
		p.evidence().Applied = appliedOf(check.Pending, p.Facts.Migration.Found.Applied)
	}
	return p.smokeStable()
}

// appliedOf returns what has been applied once nothing of the files is left to do, in order. The last attempt tells only of its own: one before
// it may have applied some, and died before it could tell.
func appliedOf(files []v1alpha1.MigrationFile, told []v1alpha1.AppliedMigration) []v1alpha1.AppliedMigration {
	out := slices.Clone(told)
	for _, file := range files {
		if !slices.ContainsFunc(told, func(m v1alpha1.AppliedMigration) bool { return m.Version == file.Version }) {
			out = append(out, v1alpha1.AppliedMigration{Version: file.Version, Name: file.Name})
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.AppliedMigration) int { return cmp.Compare(a.Version, b.Version) })
	return out
}

func (p *pass) migrate() *Plan {
	seen := p.Facts.Migration
	if seen.Done {
		return nil
	}
	p.Record.PendingSince = nil
	waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: "migrations of release " + p.Target.Release + " run"}
	if seen.Waiting != nil {
		waiting = *seen.Waiting
	}
	switch {
	case seen.Failed && seen.FailedAt.Before(p.Record.AdmittedAt.Time):
		p.do(Action{Type: ForgetMigration})
		return p.wait(v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: "what is left of an earlier run is being removed"})
	case seen.Failed:
		if seen.Waiting == nil {
			waiting.Message = fmt.Sprintf("the database refused the migrations of release %s", p.Target.Release)
		}
		return p.fail(v1alpha1.FailureMigration, waiting.Message)
	}
	p.do(Action{Type: Migrate})
	return p.wait(waiting)
}

// smokeStable asks the pods of the release before on the schema of the new one. Pods that are not ready by then for a reason
// of their own cannot be asked, and must not keep out what may mend them.
func (p *pass) smokeStable() *Plan {
	if !p.canGoBack() || !p.Rollout.SmokeTests {
		return nil
	}
	if p.Facts.Smoke[v1alpha1.SmokeStable].State == SmokePassed {
		return nil
	}
	stable := p.Facts.Stable
	if !stable.isOf(*p.Fallback) || !stable.Complete {
		return p.pending(v1alpha1.WaitingFor{
			Type: v1alpha1.WaitPods, Message: fmt.Sprintf("the pods of release %s are not all ready", p.Fallback.Release),
		})
	}
	return p.smoke(v1alpha1.SmokeStable)
}
