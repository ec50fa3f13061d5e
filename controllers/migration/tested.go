package migration

import (
	"fmt"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Tested holds pending migrations against what another environment has passed: the evidence of the releases that it has verified, and
// the schema version that it has come to. The reason is empty if it has passed them all with the same content; else it names the first
// that it has not. What it had applied before any evidence that is kept counts as passed.
func Tested(pending []v1alpha1.MigrationFile, passed []v1alpha1.DatabaseEvidence, version *int64) (reason string) {
	known := map[int64]v1alpha1.MigrationFile{}
	for _, evidence := range passed {
		if evidence.Check == nil {
			continue
		}
		for _, file := range evidence.Check.Pending {
			known[file.Version] = file
		}
	}
	for _, file := range pending {
		before, seen := known[file.Version]
		switch {
		case seen && before.Checksum != file.Checksum:
			return fmt.Sprintf("migration %s is not the one that passed there", file.Name)
		case !seen && version != nil && file.Version > *version:
			return fmt.Sprintf("migration %s has not been applied there", file.Name)
		}
	}
	return ""
}
