// Package steering says which orders there are to give to a Microservice as it is. It is pure: it is given objects and returns what
// makes sense, whoever asks. Whether somebody may give an order is the API server's to say, whether it is carried out the operator's.
package steering

import (
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Verb is an order, by the name of the command that gives it.
type Verb string

// The verbs.
const (
	Abort    Verb = "abort"
	Approve  Verb = "approve"
	Hold     Verb = "hold"
	Pause    Verb = "pause"
	Resume   Verb = "resume"
	Retry    Verb = "retry"
	Rollback Verb = "rollback"
)

// Overall are the verbs that make sense for a whole Microservice. releases are its own, in any order.
func Overall(ms *v1alpha1.Microservice, releases []v1alpha1.Release) []Verb {
	var verbs []Verb
	if target := Find(releases, ms.Status.Release); target != nil && (target.Status.Rejection != nil || awaitsRetry(ms)) {
		verbs = append(verbs, Retry)
	}
	if ms.Spec.Paused {
		return append(verbs, Resume)
	}
	return append(verbs, Pause)
}

// awaitsRetry reports whether the operator has named the verb as the way out in an environment, as it does where something has failed after the release
// was verified.
func awaitsRetry(ms *v1alpha1.Microservice) bool {
	return slices.ContainsFunc(ms.Status.Environments, func(e v1alpha1.EnvironmentStatus) bool {
		return e.WaitingFor != nil && strings.Contains(e.WaitingFor.Unblock, v1alpha1.VerbRetry+"=")
	})
}

// In are the verbs that make sense in one environment.
func In(ms *v1alpha1.Microservice, releases []v1alpha1.Release, e v1alpha1.EnvironmentStatus) []Verb {
	waits := func(t v1alpha1.WaitType) bool { return e.WaitingFor != nil && e.WaitingFor.Type == t }
	var verbs []Verb
	if waits(v1alpha1.WaitApproval) && e.PlanHash != "" {
		verbs = append(verbs, Approve)
	}
	if e.Held != nil || waits(v1alpha1.WaitPause) && !ms.Spec.Paused && e.Step == v1alpha1.StepCanary {
		verbs = append(verbs, Resume)
	}
	if isUnderWay(e.Step) {
		verbs = append(verbs, Abort)
	}
	if e.Held == nil && e.Verified != "" {
		verbs = append(verbs, Hold)
	}
	if len(Earlier(releases, e)) > 0 {
		verbs = append(verbs, Rollback)
	}
	return verbs
}

// isUnderWay reports whether a step is one that an abort would end.
func isUnderWay(step v1alpha1.Step) bool {
	switch step {
	case v1alpha1.StepVerified, v1alpha1.StepRollBack, v1alpha1.StepRejected, v1alpha1.StepSuperseded:
		return false
	}
	return true
}

// Earlier are the releases that an environment has verified, besides the one that it runs or is on its way to, the last verified
// first. A rollback goes to the first of them.
func Earlier(releases []v1alpha1.Release, e v1alpha1.EnvironmentStatus) []string {
	type verified struct {
		name string
		at   time.Time
	}
	var all []verified
	for i := range releases {
		for _, evidence := range releases[i].Status.Environments {
			if evidence.Name == e.Name && evidence.VerifiedAt != nil && releases[i].Name != e.Target {
				all = append(all, verified{releases[i].Name, evidence.VerifiedAt.Time})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b verified) int { return b.at.Compare(a.at) })
	var names []string
	for _, v := range all {
		names = append(names, v.name)
	}
	return names
}

// Find is the release of a name, or nil.
func Find(releases []v1alpha1.Release, name string) *v1alpha1.Release {
	for i := range releases {
		if releases[i].Name == name {
			return &releases[i]
		}
	}
	return nil
}
