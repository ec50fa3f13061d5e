package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// History shows releases, in the order given, a line each.
func History(releases []v1alpha1.Release, wide bool, now time.Time) string {
	header := []string{"RELEASE", "VERSION", "AGE", "STATE", "SUMMARY"}
	if wide {
		header = append(header, "AUTHOR", "IMAGE")
	}
	t := newTable(header...)
	for i := range releases {
		r := &releases[i]
		row := []string{r.Name, r.Spec.Version, age(r.CreationTimestamp.Time, now), State(r), r.Status.Summary}
		if wide {
			row = append(row, r.Spec.Author, r.Spec.Image)
		}
		t.row(row...)
	}
	return t.String()
}

// State says in a few words what has become of a release.
func State(r *v1alpha1.Release) string {
	switch {
	case r.Status.Rejection != nil:
		return fmt.Sprintf("rejected in %s: %s", r.Status.Rejection.Environment, r.Status.Rejection.Reason)
	case r.Status.Active:
		return "active"
	}
	return "past"
}

// Release shows all evidence of one release.
func Release(r *v1alpha1.Release, now time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s of %s, %s, cut %s ago%s\nImage %s\n", r.Name, r.Spec.Version, State(r), age(r.CreationTimestamp.Time, now), by(r), r.Spec.Image)
	for i := range r.Status.Environments {
		e := &r.Status.Environments[i]
		fmt.Fprintf(&out, "\n%s: %s%s\n", e.Name, e.Step, schemaAfter(e))
		out.WriteString(times(e))
		if len(e.ApprovedBy) > 0 {
			fmt.Fprintf(&out, "  approved by  %s\n", strings.Join(e.ApprovedBy, ", "))
		}
		for _, test := range e.SmokeTests {
			fmt.Fprintf(&out, "  smoke test   %s of %s: %s after %d\n", test.Name, test.Target, outcome(test), test.Attempts)
		}
		for _, sample := range e.Analysis {
			fmt.Fprintf(&out, "  analysis     %s at %d%%: %s: %s\n", sample.Time.UTC().Format(time.TimeOnly), sample.Weight, sample.Verdict, sample.Message)
		}
	}
	if rejected := r.Status.Rejection; rejected != nil {
		fmt.Fprintf(&out, "\nRejected in %s at %s: %s\n", rejected.Environment, rejected.Step, rejected.Message)
	}
	return out.String()
}

func schemaAfter(e *v1alpha1.ReleaseEnvironmentStatus) string {
	if e.SchemaVersion == nil {
		return ""
	}
	return fmt.Sprintf(", schema %d", *e.SchemaVersion)
}

func outcome(test v1alpha1.SmokeResult) string {
	if test.Passed {
		return "passed"
	}
	return "failed (" + test.Message + ")"
}

// times are the moments of an environment that have come.
func times(e *v1alpha1.ReleaseEnvironmentStatus) string {
	var out strings.Builder
	if e.AdmittedAt == nil {
		return ""
	}
	admitted := e.AdmittedAt.Time
	fmt.Fprintf(&out, "  admitted     %s\n", admitted.UTC().Format(time.RFC3339))
	if e.PromotedAt != nil {
		fmt.Fprintf(&out, "  promoted     %s later\n", age(admitted, e.PromotedAt.Time))
	}
	if e.VerifiedAt != nil {
		fmt.Fprintf(&out, "  verified     %s later\n", age(admitted, e.VerifiedAt.Time))
	}
	if e.RolledBackAt != nil {
		fmt.Fprintf(&out, "  rolled back  %s later\n", age(admitted, e.RolledBackAt.Time))
	}
	return out.String()
}
