package board

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	databases "github.com/mirubato/mirubato/plugin/database"
)

// database is what a release does, or did, to the database of an environment.
type database struct {
	// From and To are versions of the schema; absent if the check has not told them.
	From       *int64                      `json:"from,omitempty"`
	To         *int64                      `json:"to,omitempty"`
	Migrations []migration                 `json:"migrations"`
	Slowest    []statement                 `json:"slowest,omitempty"`
	Backups    []backup                    `json:"backups,omitempty"`
	Backfills  []v1alpha1.BackfillEvidence `json:"backfills,omitempty"`
	Findings   []string                    `json:"findings,omitempty"`
}

// migration is one file. State is applied, pending, or held until no earlier release needs what it removes.
type migration struct {
	Version int64    `json:"version"`
	Name    string   `json:"name"`
	State   string   `json:"state"`
	Seconds *float64 `json:"seconds,omitempty"`
}

// statement is one of those that took longest on the copy, in the rehearsal of the expand migrations or, after them, of the contract migrations.
type statement struct {
	Migration string   `json:"migration"`
	Text      string   `json:"text"`
	Seconds   float64  `json:"seconds"`
	Locks     []string `json:"locks,omitempty"`
	Rewrites  []string `json:"rewrites,omitempty"`
}

// backup is one that was made. Unproved says that nobody has restored and compared it: somebody else has made it.
type backup struct {
	Name     string    `json:"name"`
	Unproved bool      `json:"unproved,omitempty"`
	Place    string    `json:"place,omitempty"`
	Taken    time.Time `json:"taken"`
	Finished time.Time `json:"finished"`
	Bytes    int64     `json:"bytes"`
	Tables   int64     `json:"tables"`
	Rows     int64     `json:"rows"`
}

// databaseOf is nil where the release has no evidence of a database.
func databaseOf(evidence *v1alpha1.ReleaseEnvironmentStatus) *database {
	d := evidence.Database
	if d == nil {
		return nil
	}
	out := &database{Migrations: migrationsOf(d), Backfills: d.Backfills}
	if c := d.Check; c != nil {
		if c.From >= 0 {
			out.From = &c.From
		}
		out.To, out.Findings = &c.Target, c.Findings
	}
	for _, held := range []*v1alpha1.RehearsalEvidence{d.Rehearsal, contractRehearsal(d.Contract)} {
		if held == nil {
			continue
		}
		for _, s := range held.Statements {
			out.Slowest = append(out.Slowest, statement{s.Migration, s.Statement, s.Duration.Seconds(), s.Locks, s.Rewrites})
		}
	}
	for _, b := range []*v1alpha1.BackupEvidence{d.Backup, contractBackup(d.Contract)} {
		if b != nil {
			out.Backups = append(out.Backups, backup{b.Name, b.Method != "", databases.Backup{BackupEvidence: *b}.Place(), b.StartedAt.Time, b.FinishedAt.Time, b.Size, b.Tables, b.Rows})
		}
	}
	return out
}

func contractBackup(c *v1alpha1.ContractEvidence) *v1alpha1.BackupEvidence {
	if c == nil {
		return nil
	}
	return c.Backup
}

func contractRehearsal(c *v1alpha1.ContractEvidence) *v1alpha1.RehearsalEvidence {
	if c == nil {
		return nil
	}
	return c.Rehearsal
}

// migrationsOf are the files of a release by version, each once: applied if it was, else as the check has found it.
func migrationsOf(d *v1alpha1.DatabaseEvidence) []migration {
	out, known := []migration{}, map[int64]bool{}
	add := func(version int64, name, state string, took *metav1.Duration) {
		if known[version] {
			return
		}
		known[version] = true
		made := migration{Version: version, Name: name, State: state}
		if took != nil {
			seconds := took.Seconds()
			made.Seconds = &seconds
		}
		out = append(out, made)
	}
	applied := d.Applied
	if d.Contract != nil {
		applied = append(applied[:len(applied):len(applied)], d.Contract.Applied...)
	}
	for i := range applied {
		add(applied[i].Version, applied[i].Name, "applied", &applied[i].Duration)
	}
	if d.Check != nil {
		for _, file := range d.Check.Pending {
			add(file.Version, file.Name, "pending", nil)
		}
		for _, file := range d.Check.Held {
			add(file.Version, file.Name, "held", nil)
		}
	}
	slices.SortFunc(out, func(a, b migration) int { return cmp.Compare(a.Version, b.Version) })
	return out
}
