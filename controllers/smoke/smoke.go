// Package smoke tests the pods of an environment: by requests that every pod must answer, and by Jobs of the user's making.
//
// A Run is the tests of one target: the stable pods, the canary's, or the whole environment. How far it has come follows
// from what was recorded of it and from its Jobs, never from memory: State, Results and Obsolete are pure. Executor makes
// the attempts that are due and is the only part that sends or writes anything.
//
// The package owns what an attempt is, when there is another one, and what its outcome says. When a target is tested, and
// what follows, is the planner's business.
package smoke

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/release"
	"github.com/mirubato/mirubato/controllers/restricted"
)

// Defaults of the fields of v1alpha1.SmokeTest.
const (
	defaultHTTPTimeout = 5 * time.Second
	defaultJobTimeout  = 5 * time.Minute
	defaultAttempts    = 3
)

// Pauses before another attempt: firstPause after the first failure, twice as long after each further one, never more than
// maxPause.
const (
	firstPause = time.Second
	maxPause   = time.Minute
)

// Subject is what is tested.
type Subject struct {
	Owner     ownership.Owner
	Namespace string
	// ServiceAccount that Jobs run under.
	ServiceAccount string
	Target         v1alpha1.SmokeTarget
	// Release is what the pods must answer as in X-Release.
	Release string
	// Image of Jobs that name none, and the Secrets with which images are pulled.
	Image            string
	ImagePullSecrets []string
	Placement        restricted.Placement
	// Admitted is when the release was let into the environment. One that is let in again is tested again: Jobs of an earlier
	// time do not count.
	Admitted time.Time
}

// Run is the tests of one subject. Its zero value has none.
type Run struct {
	subject Subject
	tests   []test
}

// test is a v1alpha1.SmokeTest with defaults filled in.
type test struct {
	v1alpha1.SmokeTest
	timeout  time.Duration
	attempts int32
	// hash tells the Jobs of this test, and of this subject, from all others.
	hash string
}

// New returns the run of tests on a subject. It fails only on tests that have no JSON form.
func New(subject Subject, tests []v1alpha1.SmokeTest) (Run, error) {
	run := Run{subject: subject}
	for _, spec := range tests {
		t := test{SmokeTest: spec, timeout: defaultHTTPTimeout, attempts: defaultAttempts}
		if spec.Job != nil {
			t.timeout = defaultJobTimeout
		}
		if spec.Timeout != nil {
			t.timeout = spec.Timeout.Duration
		}
		if spec.Attempts != nil {
			t.attempts = *spec.Attempts
		}
		var err error
		// As seconds, which is how the time comes back from where it is recorded.
		if t.hash, err = manifest.Hash([]any{subject.Release, subject.Target, subject.Image, subject.Admitted.Unix(), spec}); err != nil {
			return Run{}, err
		}
		run.tests = append(run.tests, t)
	}
	return run, nil
}

// Observed is what there is of one environment, at one time.
type Observed struct {
	// Results recorded of the release in the environment, of all targets.
	Results []v1alpha1.SmokeResult
	// Jobs and Pods of the environment. Those that have nothing to do with smoke tests are passed over.
	Jobs []batchv1.Job
	Pods []corev1.Pod
	Now  time.Time
}

// progress is how far one test has come.
type progress struct {
	test
	state release.SmokeState
	// attempts that have ended; ended is when the last one did, message why it failed.
	attempts int32
	message  string
	ended    time.Time
	// running is the Job that is at work, or nil.
	running *batchv1.Job
}

// due is when the next attempt may be made.
func (p progress) due(now time.Time) time.Time {
	if p.attempts == 0 {
		return now
	}
	// A second more, because what is recorded is cut to whole seconds.
	return p.ended.Add(time.Second + pause(p.attempts))
}

// open reports whether there will be another attempt. None is made beside a Job that is at work.
func (p progress) open() bool {
	return p.running == nil && (p.state == release.SmokePending || p.state == release.SmokeRunning)
}

// pause is the time after the n-th failed attempt.
func pause(attempts int32) time.Duration {
	out := firstPause
	for range attempts - 1 {
		if out *= 2; out >= maxPause {
			return maxPause
		}
	}
	return out
}

// progress tells of every test, in the order of the spec.
func (r Run) progress(observed Observed) []progress {
	var out []progress
	for _, t := range r.tests {
		p := progress{test: t}
		if recorded := find(observed.Results, r.subject.Target, t.Name); recorded != nil {
			p.attempts, p.message, p.ended = recorded.Attempts, recorded.Message, recorded.Time.Time
			p.state = stateAfter(recorded.Passed, p.attempts, t.attempts)
		}
		if t.Job != nil && p.state != release.SmokePassed {
			p.lookAtJobs(observed)
		}
		out = append(out, p)
	}
	return out
}

func stateAfter(passed bool, attempts, allowed int32) release.SmokeState {
	switch {
	case passed:
		return release.SmokePassed
	case attempts >= allowed:
		return release.SmokeFailed
	}
	return release.SmokeRunning
}

// State says how far the run has come. It has passed when every test has, and failed as soon as one of them has used up its
// attempts; without tests it has passed.
func (r Run) State(observed Observed) release.Smoke {
	all := r.progress(observed)
	for _, p := range all {
		if p.state == release.SmokeFailed {
			return release.Smoke{
				State:   release.SmokeFailed,
				Message: fmt.Sprintf("smoke test %s failed %s: %s", p.Name, times(p.attempts), p.message),
			}
		}
	}
	out, begun := release.Smoke{State: release.SmokePassed}, false
	for _, p := range all {
		begun = begun || p.state != release.SmokePending
		if p.state == release.SmokePassed {
			continue
		}
		if out.State == release.SmokePassed {
			out.State, out.Message = release.SmokeRunning, p.tells(observed.Pods)
		}
		if due := p.due(observed.Now); p.open() && (out.Next.IsZero() || due.Before(out.Next)) {
			out.Next = due
		}
	}
	if out.State == release.SmokeRunning && !begun {
		return release.Smoke{State: release.SmokePending}
	}
	return out
}

// tells says what a test that has not ended is at.
func (p progress) tells(pods []corev1.Pod) string {
	message := p.message
	if p.running != nil {
		message = holdUp(p.running, pods)
	}
	if message == "" {
		return "smoke test " + p.Name + " is running"
	}
	return "smoke test " + p.Name + ": " + message
}

func times(attempts int32) string {
	if attempts == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", attempts)
}

// Results returns what is to be recorded: what was, with the outcome of Jobs that have ended since, and without tests of
// this target that are no longer made. What was recorded keeps its place. It is to be recorded before Jobs are removed.
func (r Run) Results(observed Observed) []v1alpha1.SmokeResult {
	all := r.progress(observed)
	var out []v1alpha1.SmokeResult
	for _, result := range observed.Results {
		if result.Target != r.subject.Target {
			out = append(out, result)
		} else if i := slices.IndexFunc(all, func(p progress) bool { return p.Name == result.Name }); i >= 0 {
			out = append(out, r.result(all[i], observed.Results))
		}
	}
	for _, p := range all {
		if p.attempts > 0 && find(observed.Results, r.subject.Target, p.Name) == nil {
			out = append(out, r.result(p, nil))
		}
	}
	return out
}

// result leaves what was recorded as it is if nothing has come to it: it is compared to see whether a write is needed.
func (r Run) result(p progress, recorded []v1alpha1.SmokeResult) v1alpha1.SmokeResult {
	passed := p.state == release.SmokePassed
	if last := find(recorded, r.subject.Target, p.Name); last != nil && last.Attempts == p.attempts && last.Passed == passed {
		return *last
	}
	out := v1alpha1.SmokeResult{
		Target:   r.subject.Target,
		Name:     p.Name,
		Passed:   passed,
		Attempts: p.attempts,
		Time:     metav1.NewTime(p.ended).Rfc3339Copy(),
	}
	if !passed {
		out.Message = p.message
	}
	return out
}

func find(results []v1alpha1.SmokeResult, target v1alpha1.SmokeTarget, name string) *v1alpha1.SmokeResult {
	i := slices.IndexFunc(results, func(r v1alpha1.SmokeResult) bool { return r.Target == target && r.Name == name })
	if i < 0 {
		return nil
	}
	return &results[i]
}

// Secrets returns the names of the Secrets that tests take headers from. They lie in the environment's namespace.
func Secrets(tests []v1alpha1.SmokeTest) []string {
	var out []string
	for _, t := range tests {
		if t.HTTP != nil && t.HTTP.HeadersFrom != "" {
			out = append(out, t.HTTP.HeadersFrom)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
