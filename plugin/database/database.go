// Package database tells what the Releases of a Microservice have recorded of its databases: which migrations were applied and which
// are still to come, which backups were proved, and what restoring one would lose.
//
// Everything in it is pure: it is given objects and returns values, for programs as they are and for people by package screen. It knows
// nothing that is not in a Release or in the status of a Microservice; no database is asked.
package database

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// State says what has become of a migration.
type State string

// The states of a migration.
const (
	// Applied: it has changed the database.
	Applied State = "applied"
	// Pending: the release brings it, and has not applied it yet.
	Pending State = "pending"
	// Held: it removes what earlier releases need, and waits until none is left.
	Held State = "held"
)

// Kind is what a migration does, as its file says.
type Kind string

// The kinds.
const (
	Expand   Kind = "expand"
	Contract Kind = "contract"
	Backfill Kind = "backfill"
)

// Environment is what is known of the schema in one environment.
type Environment struct {
	Name string `json:"name"`
	// Release is the one that the environment runs or is on its way to, Step how far it has come.
	Release string        `json:"release,omitempty"`
	Step    v1alpha1.Step `json:"step,omitempty"`
	// SchemaVersion and SchemaFloor are those of the status.
	SchemaVersion *int64 `json:"schemaVersion,omitempty"`
	SchemaFloor   *int64 `json:"schemaFloor,omitempty"`
	// Waiting is what the environment waits for, if that has to do with its database.
	Waiting *v1alpha1.WaitingFor `json:"waitingFor,omitempty"`
	// CheckedBy is the last release whose check has looked at the database; empty if none that is kept has. Findings are what it found and
	// let pass.
	CheckedBy string   `json:"checkedBy,omitempty"`
	Findings  []string `json:"findings,omitempty"`
	// Migrations are in the order of their versions. Those that releases have applied which are no longer kept are missing.
	Migrations []Migration `json:"migrations"`
	// Backfills are those that were done, of the releases that are kept; BackfillsLeft how many the release at hand has yet to do.
	Backfills     []BackfillDone `json:"backfills,omitempty"`
	BackfillsLeft int32          `json:"backfillsLeft,omitempty"`
	// Rehearsal is the last one of expand migrations, ContractRehearsal of contract migrations; nil if none is kept.
	Rehearsal         *Rehearsal `json:"rehearsal,omitempty"`
	ContractRehearsal *Rehearsal `json:"contractRehearsal,omitempty"`
	Drift             Drift      `json:"drift"`
	// Rejection is why the last release that came to the database was refused because of its migrations or of the schema; nil if it was not.
	Rejection *Rejection `json:"rejection,omitempty"`
}

// Migration is one file.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Kind    Kind   `json:"kind"`
	State   State  `json:"state"`
	// Release has applied it, or brings it.
	Release string `json:"release"`
	// Took is how long it took, waiting for locks included; nil if it was not applied or that is not known.
	Took *metav1.Duration `json:"took,omitempty"`
	// Rehearsed is how long its statements took on the copy, of those that the Release has kept: the slowest. Nil if there are none.
	Rehearsed *metav1.Duration `json:"rehearsed,omitempty"`
}

// BackfillDone is a backfill of a release.
type BackfillDone struct {
	Release string `json:"release"`

	v1alpha1.BackfillEvidence `json:",inline"`
}

// Rehearsal is what the migrations of a release did to a copy.
type Rehearsal struct {
	Release string `json:"release"`

	v1alpha1.RehearsalEvidence `json:",inline"`
}

// Rejection is why a release has failed.
type Rejection struct {
	Release string `json:"release"`

	v1alpha1.Rejection `json:",inline"`
}

// evidence is what one release has recorded of the database of one environment.
type evidence struct {
	release *v1alpha1.Release
	in      *v1alpha1.ReleaseEnvironmentStatus
	*v1alpha1.DatabaseEvidence
}

// evidences are those of an environment, of the newest release first.
func evidences(releases []v1alpha1.Release, environment string) []evidence {
	var out []evidence
	for i := range releases {
		for j := range releases[i].Status.Environments {
			in := &releases[i].Status.Environments[j]
			if in.Name == environment && in.Database != nil {
				out = append(out, evidence{&releases[i], in, in.Database})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b evidence) int { return cmp.Compare(b.release.Spec.Number, a.release.Spec.Number) })
	return out
}

// Environments tells what is known of the schema in each environment, in the order of spec. releases are those of the Microservice.
func Environments(ms *v1alpha1.Microservice, releases []v1alpha1.Release) []Environment {
	out := make([]Environment, 0, len(ms.Spec.Environments))
	for _, spec := range ms.Spec.Environments {
		e := Environment{Name: spec.Name, Migrations: []Migration{}}
		for _, status := range ms.Status.Environments {
			if status.Name == spec.Name {
				e.fromStatus(status)
			}
		}
		e.fromEvidence(evidences(releases, spec.Name))
		out = append(out, e)
	}
	return out
}

// ofDatabase are the waits that have to do with a database.
var ofDatabase = []v1alpha1.WaitType{
	v1alpha1.WaitDatabase, v1alpha1.WaitBackup, v1alpha1.WaitMigration, v1alpha1.WaitSchema, v1alpha1.WaitContract,
}

func (e *Environment) fromStatus(status v1alpha1.EnvironmentStatus) {
	e.Release, e.Step = status.Target, status.Step
	e.SchemaVersion, e.SchemaFloor = status.SchemaVersion, status.SchemaFloor
	if w := status.WaitingFor; w != nil && slices.Contains(ofDatabase, w.Type) {
		e.Waiting = w
	}
}

func (e *Environment) fromEvidence(all []evidence) {
	files := migrations{}
	for _, found := range slices.Backward(all) { // what later releases have found out stands in place of what was known before
		files.rehearsed(found.Rehearsal)
		files.rehearsed(found.contractRehearsal())
		files.applied(found)
		for _, done := range found.Backfills {
			e.Backfills = append(e.Backfills, BackfillDone{found.release.Name, done})
		}
		if found.Rehearsal != nil {
			e.Rehearsal = &Rehearsal{found.release.Name, *found.Rehearsal}
		}
		if r := found.contractRehearsal(); r != nil {
			e.ContractRehearsal = &Rehearsal{found.release.Name, *r}
		}
	}
	for _, found := range all {
		if found.Check == nil {
			continue
		}
		e.CheckedBy, e.Findings = found.release.Name, found.Check.Findings
		if found.BackfilledAt == nil {
			e.BackfillsLeft = found.Check.Backfills
		}
		files.found(found.release.Name, found.Check)
		break
	}
	e.Migrations = append(e.Migrations, files.sorted()...)
	e.Drift = driftIn(e.Name, all)
	e.Rejection = rejectionIn(e.Name, all)
}

// rejectionIn is that of the last release, if its migrations or the schema are to blame.
func rejectionIn(environment string, all []evidence) *Rejection {
	if len(all) == 0 {
		return nil
	}
	last := all[0].release
	r := last.Status.Rejection
	if r == nil || r.Environment != environment || r.Reason != v1alpha1.FailureMigration && r.Reason != v1alpha1.FailureDrift {
		return nil
	}
	return &Rejection{last.Name, *r}
}

// migrations are files by their version.
type migrations map[int64]*Migration

// at is the file of a version. Another name is another file, of which nothing is known yet.
func (m migrations) at(version int64, name string) *Migration {
	if m[version] == nil || m[version].Name != name {
		m[version] = &Migration{Version: version, Name: name}
	}
	return m[version]
}

// contractRehearsal is that of what was removed last; nil if there was none.
func (e evidence) contractRehearsal() *v1alpha1.RehearsalEvidence {
	if e.Contract == nil {
		return nil
	}
	return e.Contract.Rehearsal
}

// rehearsed notes how long the files of a rehearsal took on the copy; nil is none.
func (m migrations) rehearsed(held *v1alpha1.RehearsalEvidence) {
	if held == nil {
		return
	}
	took := map[string]*metav1.Duration{}
	for _, statement := range held.Statements {
		if took[statement.Migration] == nil {
			took[statement.Migration] = &metav1.Duration{}
		}
		took[statement.Migration].Duration += statement.Duration.Duration
	}
	for _, file := range held.Files {
		if known := m[file.Version]; took[file.Name] != nil && (known == nil || known.State != Applied) {
			m.at(file.Version, file.Name).Rehearsed = took[file.Name]
		}
	}
}

// applied notes what a release has applied.
func (m migrations) applied(found evidence) {
	note := func(list []v1alpha1.AppliedMigration, kind Kind) {
		for _, applied := range list {
			file := m.at(applied.Version, applied.Name)
			file.Kind, file.State, file.Release = kind, Applied, found.release.Name
			if applied.Duration.Duration > 0 { // or the attempt that did it died before it could tell
				file.Took = new(applied.Duration)
			}
		}
	}
	note(found.Applied, Expand)
	if found.Contract != nil {
		note(found.Contract.Applied, Contract)
	}
}

// found notes the files that a check found not to be applied. Those that were applied meanwhile tell their kind.
func (m migrations) found(release string, check *v1alpha1.CheckEvidence) {
	note := func(list []v1alpha1.MigrationFile, state State) {
		for _, listed := range list {
			kind := Kind(cmp.Or(listed.Phase, string(Expand)))
			if known := m[listed.Version]; known != nil && known.State == Applied {
				known.Kind = kind
				continue
			}
			file := m.at(listed.Version, listed.Name)
			file.Kind, file.State, file.Release = kind, state, release
		}
	}
	note(check.Pending, Pending)
	note(check.Held, Held)
}

// sorted leaves out files that were rehearsed and are neither applied nor pending: those of a release that gave way to another.
func (m migrations) sorted() []Migration {
	var out []Migration
	for _, file := range m {
		if file.State != "" {
			out = append(out, *file)
		}
	}
	slices.SortFunc(out, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return out
}
