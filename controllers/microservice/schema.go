package microservice

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
	"github.com/mirubato/mirubato/controllers/migration"
)

// compareSchemas adds to the facts of a station what the evidence of others says about its schema. previous is the environment before,
// empty for the first.
func (o *observed) compareSchemas(s *station, previous string) {
	facts, recorded := &s.input.Facts, s.input.Record.Database
	if last := verifiedLast(o.releases, s.name()); last != nil {
		s.input.Inherited = recordOf(last, s.name()).Database
	}
	if recorded == nil || recorded.Check == nil {
		o.nameSafeRelease(s)
		return
	}
	if s.input.Record.VerifiedAt != nil {
		facts.Older = o.older(s)
		if rollout := s.spec.Rollout; rollout != nil {
			facts.Window = gate.Window(rollout.Windows, rollout.Freezes, s.input.Now)
		}
		return
	}
	if evidence, version := o.passed(previous); len(evidence) > 0 {
		facts.Untested = migration.Tested(recorded.Check.Pending, evidence, version)
	}
}

// passed is the evidence of the releases that an environment has verified, and the schema version that it has come to.
func (o *observed) passed(name string) (out []v1alpha1.DatabaseEvidence, version *int64) {
	for i := range o.releases {
		record := recordOf(&o.releases[i], name)
		if record.VerifiedAt == nil || record.Database == nil || record.Database.Check == nil {
			continue
		}
		out = append(out, *record.Database)
		if record.SchemaVersion != nil && (version == nil || *record.SchemaVersion > *version) {
			version = record.SchemaVersion
		}
	}
	return out, version
}

// older names the environments that share the station's database, or may, itself included, and have pods that may be of another
// release than the station's target.
func (o *observed) older(s *station) []string {
	own := o.lastCheck(s.name())
	var out []string
	for _, other := range o.stations {
		if other != s && !sharesDatabase(own, o.lastCheck(other.name())) {
			continue
		}
		if other.away != nil { // what runs there is not known
			out = append(out, other.name())
			continue
		}
		stable, canary := other.input.Facts.Stable, other.input.Facts.Canary
		if !stable.Exists && !canary.Exists {
			continue
		}
		same := other.target.Name == s.target.Name && stable.Content == other.input.Target.Content && stable.Complete && !canary.Exists
		if !same {
			out = append(out, other.name())
		}
	}
	return out
}

// sharesDatabase reports whether two environments share one, or may: where the server is not known its name decides, and where
// nothing was checked yet the worst is assumed.
func sharesDatabase(a, b *v1alpha1.CheckEvidence) bool {
	if a == nil || b == nil || a.Database == "" || b.Database == "" {
		return true
	}
	unknown := a.SystemIdentifier == "" || b.SystemIdentifier == ""
	return a.Database == b.Database && (unknown || a.SystemIdentifier == b.SystemIdentifier)
}

// lastCheck is the newest evidence about an environment's database, nil if there is none.
func (o *observed) lastCheck(name string) *v1alpha1.CheckEvidence {
	var out *v1alpha1.CheckEvidence
	var number int64
	for i := range o.releases {
		rel := &o.releases[i]
		if found := recordOf(rel, name).Database; found != nil && found.Check != nil && rel.Spec.Number >= number {
			out, number = found.Check, rel.Spec.Number
		}
	}
	return out
}

// nameSafeRelease tells, where the schema does not take the target, which release it takes.
func (o *observed) nameSafeRelease(s *station) {
	seen := &s.input.Facts.Check
	check := seen.Found.Check
	if seen.Waiting == nil || seen.Waiting.Type != v1alpha1.WaitSchema || check == nil {
		return
	}
	lowest, why := check.Floor, "is the nearest that runs on this schema"
	if check.Floor <= check.Target && len(check.Held) > 0 {
		lowest, why = check.Held[0].Version, "has to pass first, its contract migrations included"
	}
	safe := o.nearest(lowest, s.target)
	if safe == "" {
		return
	}
	waiting := *seen.Waiting
	waiting.Unblock = fmt.Sprintf("release %s %s: kubectl annotate microservice %s --namespace %s --overwrite %s=%s/%s/$(date +%%s)",
		safe, why, s.input.Microservice.Name, s.input.Microservice.Namespace, v1alpha1.VerbHold, s.name(), safe)
	seen.Waiting = &waiting
}

// nearest is the release, other than the wanted one, whose files end at a version or above it, and least above.
func (o *observed) nearest(version int64, wanted *v1alpha1.Release) string {
	type candidate struct {
		name           string
		target, number int64
	}
	var found []candidate
	for i := range o.releases {
		rel := &o.releases[i]
		for _, record := range rel.Status.Environments {
			if record.Database == nil || record.Database.Check == nil || record.Database.Check.Target < version || rel.Name == wanted.Name {
				continue
			}
			found = append(found, candidate{rel.Name, record.Database.Check.Target, rel.Spec.Number})
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.MinFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.target, b.target), cmp.Compare(a.number, b.number))
	}).name
}

// schemaFloor is the highest contract migration that is known to be applied, the one before where nothing newer is known.
func schemaFloor(found *v1alpha1.DatabaseEvidence, before *int64) *int64 {
	floor := int64(0)
	if before != nil {
		floor = *before
	}
	if found != nil && found.Check != nil {
		floor = max(floor, found.Check.Floor)
	}
	if found != nil && found.Contract != nil && found.Contract.FinishedAt != nil {
		for _, applied := range found.Contract.Applied {
			floor = max(floor, applied.Version)
		}
	}
	if floor == 0 {
		return nil
	}
	return &floor
}
