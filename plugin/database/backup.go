package database

import (
	"cmp"
	"net/url"
	"path"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/plugin/steering"
)

// The verdicts of a backup in a Release. Dumps that were found to differ are not kept.
const (
	// VerdictEqual: it was restored, and the copy found equal to what was dumped.
	VerdictEqual = "equal"
	// VerdictNotRestored: somebody else has made it and says that it is complete. Nobody has restored it.
	VerdictNotRestored = "not restored by us"
)

// VerdictOf tells what is known of a backup.
func VerdictOf(made v1alpha1.BackupEvidence) string {
	if made.Method != "" {
		return VerdictNotRestored
	}
	return VerdictEqual
}

// Backup is one that was made for a release in an environment.
type Backup struct {
	Environment string `json:"environment"`
	// Release is the one before whose migrations of this kind the backup was made.
	Release string `json:"release"`
	Before  Kind   `json:"before"`
	Verdict string `json:"verdict"`
	// Took is how long all of it took, from the snapshot until it was stored.
	Took metav1.Duration `json:"took"`
	// Newer is how many that are newer lie at the same place, as far as the Releases that are kept tell. Retain is how many stay there; 0
	// if the environment makes no backups any more, so that none is removed.
	Newer  int   `json:"newer"`
	Retain int32 `json:"retain,omitempty"`

	v1alpha1.BackupEvidence `json:",inline"`
}

// Place is the claim, or the bucket and the prefix, for people to read; of what somebody else has made, what it was made of.
func (b Backup) Place() string {
	if b.Method != "" {
		return string(b.Method) + " of " + b.Source
	}
	at, err := url.Parse(b.Bucket)
	if b.Bucket == "" || err != nil {
		return b.ClaimName
	}
	return at.Scheme + "://" + path.Join(at.Host, at.Query().Get("prefix"))
}

// Kept says whether the backup should still be there.
func (b Backup) Kept() bool { return b.Retain == 0 || b.Newer < int(b.Retain) }

// Backups are those that the Releases tell of, the newest first.
func Backups(ms *v1alpha1.Microservice, releases []v1alpha1.Release) []Backup {
	out := []Backup{}
	for _, spec := range ms.Spec.Environments {
		retain := retained(ms, releases, spec.Name)
		for _, found := range evidences(releases, spec.Name) {
			add := func(made *v1alpha1.BackupEvidence, before Kind) {
				if made == nil || slices.ContainsFunc(out, func(b Backup) bool { return b.Name == made.Name && b.Environment == spec.Name }) {
					return
				}
				out = append(out, Backup{
					Environment: spec.Name, Release: found.release.Name, Before: before, Verdict: VerdictOf(*made), Retain: retain,
					Took: metav1.Duration{Duration: made.FinishedAt.Sub(made.StartedAt.Time)}, BackupEvidence: *made,
				})
			}
			add(found.Backup, Expand)
			if found.Contract != nil {
				add(found.Contract.Backup, Contract)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Backup) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt.Time), cmp.Compare(b.Name, a.Name)) // names of dumps begin with the time
	})
	for i := range out {
		for _, newer := range out[:i] {
			if newer.isBeside(out[i]) {
				out[i].Newer++
			}
		}
	}
	return out
}

// isBeside reports whether two backups are counted together.
func (b Backup) isBeside(other Backup) bool {
	return b.ClaimName == other.ClaimName && b.Bucket == other.Bucket && b.Method == other.Method && b.Source == other.Source &&
		b.Environment == other.Environment
}

// retained is how many backups stay in an environment, by the release that it runs or is on its way to.
func retained(ms *v1alpha1.Microservice, releases []v1alpha1.Release, name string) int32 {
	for _, status := range ms.Status.Environments {
		if target := steering.Find(releases, status.Target); status.Name == name && target != nil {
			if content := environment.ContentOf(target, name, environment.Scale{}); content.Database != nil && content.Database.Backup != nil {
				return content.Database.Backup.Retain
			}
		}
	}
	return 0
}

// Loss is what a database restored from a backup lacks of the one that the backup was made of.
type Loss struct {
	// Taken is when the backup's snapshot was taken: every write since then is missing.
	Taken time.Time `json:"taken"`
	// Then and Now are versions of the schema; nil where they are not known.
	Then *int64 `json:"then,omitempty"`
	Now  *int64 `json:"now,omitempty"`
	// Releases have come to the environment since, the newest first, and Migrations were applied, in the order of their versions.
	Releases   []string                    `json:"releases,omitempty"`
	Migrations []v1alpha1.AppliedMigration `json:"migrations,omitempty"`
}

// LossOf tells what a backup of an environment lacks that was taken at a time, when the schema had a version; nil if that is not known.
func LossOf(ms *v1alpha1.Microservice, releases []v1alpha1.Release, name string, taken time.Time, version *int64) Loss {
	out := Loss{Taken: taken, Then: version}
	for _, status := range ms.Status.Environments {
		if status.Name == name {
			out.Now = status.SchemaVersion
		}
	}
	newest := slices.SortedFunc(slices.Values(releases), func(a, b v1alpha1.Release) int { return cmp.Compare(b.Spec.Number, a.Spec.Number) })
	for i := range newest {
		for j := range newest[i].Status.Environments {
			in := &newest[i].Status.Environments[j]
			if in.Name != name || !movedAfter(in, taken) {
				continue
			}
			out.Releases = append(out.Releases, newest[i].Name)
			out.Migrations = append(out.Migrations, appliedAfter(in.Database, version)...)
		}
	}
	slices.SortFunc(out.Migrations, func(a, b v1alpha1.AppliedMigration) int { return cmp.Compare(a.Version, b.Version) })
	return out
}

// movedAfter reports whether a release has done anything in an environment after a time.
func movedAfter(in *v1alpha1.ReleaseEnvironmentStatus, taken time.Time) bool {
	moments := []*metav1.Time{in.AdmittedAt, in.PromotedAt, in.VerifiedAt, in.RolledBackAt}
	for i := range in.Steps {
		moments = append(moments, &in.Steps[i].Time)
	}
	if in.Database != nil && in.Database.Contract != nil {
		moments = append(moments, in.Database.Contract.FinishedAt)
	}
	return slices.ContainsFunc(moments, func(m *metav1.Time) bool { return m != nil && m.After(taken) })
}

// appliedAfter are the migrations that the backup does not hold. Migrations are applied in the order of their versions.
func appliedAfter(d *v1alpha1.DatabaseEvidence, version *int64) []v1alpha1.AppliedMigration {
	if d == nil {
		return nil
	}
	all := slices.Clone(d.Applied)
	if d.Contract != nil {
		all = append(all, d.Contract.Applied...)
	}
	return slices.DeleteFunc(all, func(m v1alpha1.AppliedMigration) bool { return version != nil && m.Version <= *version })
}
