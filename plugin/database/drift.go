package database

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// DriftState says whether the schema was changed by other means than migrations, as far as anybody has looked.
type DriftState string

// The states of drift.
const (
	// DriftUnknown: fewer than two looks at the schema are recorded, so there is nothing to compare.
	DriftUnknown DriftState = "unknown"
	// DriftNone: all that have looked while a release was prepared have found the same schema.
	DriftNone DriftState = "none"
	// DriftFound: they have not.
	DriftFound DriftState = "found"
)

// Drift is what the last release that was prepared tells of it.
type Drift struct {
	State DriftState `json:"state"`
	// Message says in a sentence how that is known.
	Message string `json:"message"`
}

// driftIn compares what check, backup and rehearsal of the last release that was checked have found, and then what backup and rehearsal
// before its removals have.
func driftIn(environment string, all []evidence) Drift {
	for _, found := range all {
		if r := found.release.Status.Rejection; r != nil && r.Environment == environment && r.Reason == v1alpha1.FailureDrift {
			return Drift{DriftFound, fmt.Sprintf("%s was rejected: %s", found.release.Name, r.Message)}
		}
		if found.Check == nil {
			continue
		}
		return driftOf(found)
	}
	return Drift{DriftUnknown, "no release that is kept has looked at the schema"}
}

func driftOf(found evidence) Drift {
	if c := found.Contract; c != nil {
		later := looksOf("removal's ", nil, c.Backup, c.Rehearsal)
		if drift := compare(found.release.Name, later); drift.State == DriftFound {
			return drift
		}
	}
	return compare(found.release.Name, looksOf("", found.Check, found.Backup, found.Rehearsal))
}

// look is somebody's at the schema; an empty fingerprint is none.
type look struct{ by, fingerprint string }

// looksOf are those before the same change of the schema. The copy of a rehearsal may be on a newer server, which writes the same schema
// otherwise; only rehearsals of earlier operators tell of nothing else.
func looksOf(whose string, check *v1alpha1.CheckEvidence, backup *v1alpha1.BackupEvidence, rehearsal *v1alpha1.RehearsalEvidence) []look {
	var out []look
	if check != nil {
		out = append(out, look{whose + "check", check.Fingerprint})
	}
	if backup != nil {
		out = append(out, look{whose + "backup", backup.Fingerprint})
	}
	if rehearsal != nil {
		out = append(out, look{whose + "rehearsal", cmp.Or(rehearsal.DatabaseFingerprint, rehearsal.Fingerprint)})
	}
	return out
}

func compare(release string, looks []look) Drift {
	var first look
	var same []string
	for _, l := range looks {
		switch {
		case l.fingerprint == "":
			continue
		case first.fingerprint == "":
			first = l
		case first.fingerprint != l.fingerprint:
			return Drift{DriftFound, fmt.Sprintf("the %s of %s has found another schema than the %s before it", l.by, release, first.by)}
		}
		same = append(same, l.by)
	}
	if len(same) < 2 {
		return Drift{DriftUnknown, "there was one look at the schema for " + release + ", and nothing to compare it with"}
	}
	return Drift{DriftNone, fmt.Sprintf("%s of %s have found the same schema", strings.Join(same, ", "), release)}
}
