package resilience

// Outcome is what the error of a call tells about the dependency: whether it is well, and whether the same call may be
// made again.
type Outcome int

const (
	// Served means that the dependency did its part, whatever the caller thinks of the answer. An input that it refuses and a row
	// that is not there are of this kind: they never open a breaker.
	Served Outcome = iota
	// RolledBack means that it did its part, and its part was to undo everything, as after a deadlock. Anybody may try again.
	RolledBack
	// Abandoned means that the caller went away or had no time left, which says nothing of the dependency.
	Abandoned
	// NotReached means that it is away, and nothing was sent to it. Anybody may try again.
	NotReached
	// Lost means that it is away, and nobody knows whether it did what it was told. Only what may be done twice is tried again.
	Lost
	// Failed means that it is not well, and trying again would do no good, as when it worked for all the time that it was given.
	Failed
)

// isFailure says whether the dependency is unwell.
func (o Outcome) isFailure() bool { return o == NotReached || o == Lost || o == Failed }

// mayRepeat says whether the call may be made again; repeatable says that doing it twice is the same as doing it once.
func (o Outcome) mayRepeat(repeatable bool) bool {
	return o == RolledBack || o == NotReached || (o == Lost && repeatable)
}

// judged is the error of an attempt together with what it tells.
type judged struct {
	outcome Outcome
	err     error
}

func (j *judged) Error() string { return j.err.Error() }

func (j *judged) Unwrap() error { return j.err }
