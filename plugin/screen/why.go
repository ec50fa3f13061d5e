package screen

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/steering"
)

// Why answers, in sentences, why a Microservice, or one environment of it, is not further than it is. environment is empty for
// all of them.
func Why(ms *v1alpha1.Microservice, releases []v1alpha1.Release, environment string, now time.Time) string {
	var out strings.Builder
	target := steering.Find(releases, ms.Status.Release)
	for i := range ms.Status.Environments {
		e := &ms.Status.Environments[i]
		if environment != "" && e.Name != environment {
			continue
		}
		out.WriteString(whyNot(ms, e, releases, now))
	}
	if r := rejection(target); r != nil && environment == "" {
		fmt.Fprintf(&out, "\n%s was rejected because of %s in %s, at %s, %s ago:\n  %s\n",
			target.Name, r.Reason, r.Environment, r.Step, age(r.Time.Time, now), r.Message)
		fmt.Fprintf(&out, "  It is tried nowhere any more. Correct the Microservice, or try it again: kubectl mirubato retry %s -n %s\n", ms.Name, ms.Namespace)
	}
	if out.Len() == 0 {
		if c := meta.FindStatusCondition(ms.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			return fmt.Sprintf("%s: %s\n", c.Reason, c.Message)
		}
		return "The operator has said nothing yet. If that lasts, look at its pods: kubectl get pods -n mirubato-system\n"
	}
	return out.String()
}

func rejection(release *v1alpha1.Release) *v1alpha1.Rejection {
	if release == nil {
		return nil
	}
	return release.Status.Rejection
}

func whyNot(ms *v1alpha1.Microservice, e *v1alpha1.EnvironmentStatus, releases []v1alpha1.Release, now time.Time) string {
	if e.WaitingFor == nil {
		return fmt.Sprintf("%s has verified %s and waits for nothing.\n", e.Name, named(releases, e.Target))
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s is at %s of %s.", e.Name, e.Step, named(releases, e.Target))
	out.WriteString(reason(ms, *e, now))
	evidence := Evidence(steering.Find(releases, e.Target), e.Name)
	if evidence == nil {
		return out.String()
	}
	for _, test := range evidence.SmokeTests {
		if !test.Passed {
			fmt.Fprintf(&out, "  smoke test %s of %s failed %s ago, attempt %d: %s\n", test.Name, test.Target, age(test.Time.Time, now), test.Attempts, test.Message)
		}
	}
	if n := len(evidence.Analysis); n > 0 {
		last := evidence.Analysis[n-1]
		fmt.Fprintf(&out, "  last reading %s ago at %d%%: %s: %s\n", age(last.Time.Time, now), last.Weight, last.Verdict, last.Message)
	}
	return out.String()
}
