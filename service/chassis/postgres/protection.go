package postgres

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/resilience"
)

// Protection stands between the statements and the database. A resilience.Shield that judges by Judge is one.
type Protection interface {
	// Do makes the call, again if it failed and may be made again; repeatable says that twice is the same as once. The
	// call's context may end before ctx.
	Do(ctx context.Context, repeatable bool, call func(context.Context) error) error
}

// unprotected makes each call once.
type unprotected struct{}

func (unprotected) Do(ctx context.Context, _ bool, call func(context.Context) error) error {
	return call(ctx)
}

// Trait is what a statement says of itself.
type Trait int

// Repeatable is said of a write that answers and leaves behind the same whether it runs once or twice, such as an
// insert under an ID that was chosen before and that says "on conflict". It is then sent again when the connection
// broke before the answer. Reads need not say it.
const Repeatable Trait = iota + 1

// changing are the words by which a statement that begins like a read gives itself away.
var changing = regexp.MustCompile(`\b(insert|update|delete|merge|truncate|call|nextval|setval|pg_notify|pg_advisory_\w+)\b`)

// isRead says whether a text only reads. A read that looks like a write, because one of the words stands in a literal,
// is taken for a write, which only keeps it from being sent again.
func isRead(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	first, _, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), " ")
	switch first {
	case "select", "with", "values", "table", "show", "explain":
		return !changing.MatchString(text)
	}
	return false
}

// notConnected is the error of a connection that was never made: nothing was sent.
type notConnected struct{ error }

func (e notConnected) Unwrap() error { return e.error }

// brokenOff is the error of a read that has handed on rows before it failed: another try would hand them on again.
type brokenOff struct{ error }

func (e brokenOff) Unwrap() error { return e.error }

// Judge says what an error of a Statement tells about the database. Only what keeps the database from answering counts
// against it; what it answers to a bad statement, a bad value or a conflict does not.
func Judge(err error) resilience.Outcome {
	if _, ok := errors.AsType[notConnected](err); ok {
		return resilience.NotReached
	}
	outcome := judge(err)
	if _, ok := errors.AsType[brokenOff](err); !ok {
		return outcome
	}
	switch outcome {
	case resilience.Lost:
		return resilience.Failed
	case resilience.RolledBack:
		return resilience.Served
	}
	return outcome
}

// IsUndone reports whether an error of a Statement is an answer of the database by which the statement has changed nothing, be it for a value, a
// conflict or a lock. Whatever else a statement fails by, it may have been done, or others would fail the same way.
func IsUndone(err error) bool {
	dbErr := pq.As(err)
	if dbErr == nil {
		return false
	}
	outcome := judgeCode(dbErr.Code)
	return outcome == resilience.Served || outcome == resilience.RolledBack
}

func judge(err error) resilience.Outcome {
	if dbErr := pq.As(err); dbErr != nil {
		return judgeCode(dbErr.Code)
	}
	if errors.Is(err, context.DeadlineExceeded) || isConnectionLost(err) {
		return resilience.Lost
	}
	return resilience.Served
}

// judgeCode judges SQLSTATEs, single ones before their class.
func judgeCode(code pqerror.Code) resilience.Outcome {
	switch code {
	case pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.LockNotAvailable:
		return resilience.RolledBack
	case pqerror.QueryCanceled:
		return resilience.Failed
	case pqerror.CannotConnectNow, pqerror.TooManyConnections:
		return resilience.NotReached
	}
	if mapped, _ := classify(code); mapped == fault.Unavailable {
		return resilience.Lost
	}
	return resilience.Served
}
