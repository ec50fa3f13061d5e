package migrate

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/api/contract"
)

// Error is what every function of this package returns. Its text never holds a connection string, a password or data
// of a row; the cause that Unwrap returns may, so do not print it.
type Error struct {
	contract.MigrationError
	cause error
}

// Error returns the message for a person, with the name of the file if there is one.
func (e *Error) Error() string {
	if e.Migration == "" {
		return e.Message
	}
	return e.Migration + ": " + e.Message
}

// Unwrap returns the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// ExitCode returns the exit code that goes with an error of this package; 0 for nil.
func ExitCode(err error) int {
	if err == nil {
		return contract.ExitOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return exitCodes[e.Code]
	}
	return contract.ExitFailed
}

var exitCodes = map[contract.MigrationErrorCode]int{
	contract.DatabaseUnreachable: contract.ExitUnavailable,
	contract.CredentialsRefused:  contract.ExitUnavailable,
	contract.LockNotAcquired:     contract.ExitUnavailable,
	contract.Interrupted:         contract.ExitUnavailable,
	contract.InvalidMigrations:   contract.ExitUsage,
	contract.HistoryChanged:      contract.ExitFailed,
	contract.MigrationFailed:     contract.ExitFailed,
	contract.BackupFailed:        contract.ExitFailed,
	contract.BackupDiffers:       contract.ExitFailed,
	contract.ServerTooNew:        contract.ExitUsage,
	contract.TargetExists:        contract.ExitUsage,
	contract.StorageUnavailable:  contract.ExitUnavailable,
	contract.OwnedByAnother:      contract.ExitFailed,
	contract.ImageTooOld:         contract.ExitFailed,
	contract.ReleaseSkipped:      contract.ExitFailed,
	contract.BackfillPending:     contract.ExitUnavailable,
	contract.BackfillPaused:      contract.ExitUnavailable,
	contract.BackfillIncomplete:  contract.ExitFailed,
	contract.PreflightWaiting:    contract.ExitUnavailable,
	contract.PreflightRefused:    contract.ExitFailed,
	contract.LintBlocked:         contract.ExitFailed,
}

// NewError makes an error for what goes wrong before Up can be called, so that it is reported like the rest.
func NewError(code contract.MigrationErrorCode, message string) *Error {
	return newError(code, "", message, nil)
}

// newError makes an error that is retryable if its exit code says so.
func newError(code contract.MigrationErrorCode, migration, message string, cause error) *Error {
	return &Error{
		MigrationError: contract.MigrationError{
			Code: code, Message: message, Migration: migration, Retryable: exitCodes[code] == contract.ExitUnavailable,
		},
		cause: cause,
	}
}

func invalid(name string, cause error) *Error {
	e := newError(contract.InvalidMigrations, name, cause.Error(), cause)
	if at, ok := errors.AsType[*LineError](cause); ok {
		e.Line = at.Line
	}
	return e
}

// A databaseError is something the database or the way to it refused, with what was being done.
type databaseError struct {
	act       string // such as "taking the lock"; never empty
	migration string // the file, if there is one
	line      int    // in the file, 0 if not known
	hint      string // what more a person needs to know
	cause     error
}

func (e *databaseError) Error() string { return e.act + ": " + e.cause.Error() }
func (e *databaseError) Unwrap() error { return e.cause }

// classify turns whatever stopped a run into the Error that is reported. It looks at ctx because a cancelled
// statement comes back as an error of the database.
func classify(ctx context.Context, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	at, ok := errors.AsType[*databaseError](err)
	if !ok {
		at = &databaseError{act: "migrating", cause: err}
	}
	code, reason, state := diagnose(ctx, at)
	message := at.act + ": " + reason
	if state == string(pqerror.InsufficientPrivilege) {
		at.hint = joinHints(at.hint, "use the role that owns the schema, or grant this one the right")
	}
	if at.hint != "" {
		message += "; " + at.hint
	}
	if at.line > 0 {
		message = fmt.Sprintf("line %d: %s", at.line, message)
	}
	e := newError(code, at.migration, message, err)
	e.Line = at.line
	e.SQLState = state
	e.Retryable = e.Retryable || retryableState(state)
	return e
}

// diagnose returns the code, the reason in words, and the SQLSTATE if there is one.
func diagnose(ctx context.Context, at *databaseError) (code contract.MigrationErrorCode, reason, state string) {
	refused, isRefused := errors.AsType[*pq.Error](at.cause)
	if isRefused {
		state = string(refused.Code)
	}
	switch {
	case ctx.Err() != nil:
		return contract.Interrupted, "the run was told to stop; what was not finished is rolled back", state
	case isRefused:
		return codeOf(refused, at.migration != ""), describe(refused), state
	case errors.Is(at.cause, pq.ErrSSLNotSupported):
		return contract.DatabaseUnreachable, "the server does not offer TLS; if that is intended, add sslmode=disable to the connection URL", ""
	case errors.Is(at.cause, driver.ErrBadConn), errors.Is(at.cause, io.EOF), errors.Is(at.cause, io.ErrUnexpectedEOF):
		return contract.DatabaseUnreachable, "the connection was lost", ""
	}
	if network, ok := errors.AsType[net.Error](at.cause); ok {
		return contract.DatabaseUnreachable, networkReason(network), ""
	}
	if at.migration != "" {
		return contract.MigrationFailed, at.cause.Error(), ""
	}
	return contract.DatabaseUnreachable, strings.TrimPrefix(at.cause.Error(), "pq: "), ""
}

// networkReason is the innermost cause, such as "connection refused": the outer ones repeat addresses.
func networkReason(err net.Error) string {
	if err.Timeout() {
		return "no answer in time"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host name is not known (" + dns.Err + ")"
	}
	var inner error = err
	for next := errors.Unwrap(inner); next != nil; next = errors.Unwrap(inner) {
		inner = next
	}
	return inner.Error()
}

// codeOf maps a SQLSTATE. The same state means something else while connecting and inside a file.
func codeOf(err *pq.Error, inFile bool) contract.MigrationErrorCode {
	switch err.Code {
	case pqerror.LockNotAvailable, pqerror.TRDeadlockDetected:
		return contract.LockNotAcquired
	case pqerror.TooManyConnections, pqerror.AdminShutdown, pqerror.CrashShutdown, pqerror.CannotConnectNow:
		return contract.DatabaseUnreachable
	case pqerror.InvalidCatalogName:
		if !inFile {
			return contract.CredentialsRefused
		}
	case pqerror.InsufficientPrivilege:
		if err.Fatal() { // no CONNECT privilege on the database
			return contract.CredentialsRefused
		}
	}
	switch err.Code.Class() {
	case "28": // invalid authorization
		return contract.CredentialsRefused
	case "08": // connection exception
		return contract.DatabaseUnreachable
	}
	return contract.MigrationFailed
}

// retryableState says which refusals may be gone at the next call although they failed a migration: no disk or memory,
// a statement that somebody cancelled, a conflict between transactions, a server that takes no changes for now.
func retryableState(state string) bool {
	switch {
	case strings.HasPrefix(state, "53"), state == string(pqerror.QueryCanceled), state == string(pqerror.TRSerializationFailure):
		return true
	case state == string(pqerror.ReadOnlySQLTransaction): // the server is a standby until the name leads to the new primary
		return true
	}
	return false
}

// describe repeats what the server says, except where that quotes a value out of a row.
func describe(err *pq.Error) string {
	name := fmt.Sprintf("%s, SQLSTATE %s", err.Code.Name(), string(err.Code))
	if err.Code.Class() != "22" { // data exceptions
		return fmt.Sprintf("%s (%s)", err.Message, name)
	}
	for _, where := range []struct{ kind, name string }{{"column", err.Column}, {"table", err.Table}, {"type", err.DataTypeName}} {
		if where.name != "" {
			name += ", " + where.kind + " " + where.name
		}
	}
	return "a value does not fit (" + name + ")"
}

// mayRetry says whether the same file may be tried again in this run: it has waited for a lock, has been rolled back,
// and nothing else is wrong. A cancelled statement (57014) is not among these, because it says nothing about why.
func mayRetry(err error) bool {
	return pq.As(err, pqerror.LockNotAvailable, pqerror.TRDeadlockDetected) != nil
}
