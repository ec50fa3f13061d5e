package database

import (
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

// driftIn compares what check, backup and rehearsal of the last release that was checked have found.
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
	type look struct{ by, fingerprint string }
	looks := []look{{"check", found.Check.Fingerprint}}
	if found.Backup != nil {
		looks = append(looks, look{"backup", found.Backup.Fingerprint})
	}
	if found.Rehearsal != nil {
		looks = append(looks, look{"rehearsal", found.Rehearsal.Fingerprint})
	}
	var first look
	var same []string
	for _, l := range looks {
		switch {
		case l.fingerprint == "":
			continue
		case first.fingerprint == "":
			first = l
		case first.fingerprint != l.fingerprint:
			return Drift{DriftFound, fmt.Sprintf("the %s of %s has found another schema than the %s before it", l.by, found.release.Name, first.by)}
		}
		same = append(same, l.by)
	}
	if len(same) < 2 {
		return Drift{DriftUnknown, "there was one look at the schema for " + found.release.Name + ", and nothing to compare it with"}
	}
	return Drift{DriftNone, fmt.Sprintf("%s of %s have found the same schema", strings.Join(same, ", "), found.release.Name)}
}
