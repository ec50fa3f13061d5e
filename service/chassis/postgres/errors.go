package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// isCode reports whether err is one of the database's with one of the codes.
func isCode(err error, codes ...pqerror.Code) bool { return pq.As(err, codes...) != nil }

// translate turns an error of the driver into a fault. The name of the statement goes into the cause.
func translate(ctx context.Context, name string, err error) error {
	cause := fmt.Errorf("querying %s: %w", name, err)
	// The driver reports an ended context as the server's "canceling statement", as a broken connection, or as itself.
	if ctxErr := ctx.Err(); ctxErr != nil {
		return fault.Of(fmt.Errorf("querying %s: %w", name, ctxErr))
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Wrap(f.Code, f.Message, cause)
	}
	if dbErr := pq.As(err); dbErr != nil {
		code, message := classify(dbErr.Code)
		f := fault.Wrap(code, message, cause)
		if code == fault.Invalid {
			f.Details = []fault.Detail{refusal(dbErr)}
		}
		return f
	}
	if isConnectionLost(err) {
		return fault.Wrap(fault.Unavailable, unavailable, cause)
	}
	return fault.Wrap(fault.Internal, "Database error", cause)
}

const (
	unavailable = "The database is not available at the moment"
	refused     = "The database refuses a value"
)

// refusal says what is known of a value that the rules of the input let through and the database cannot hold: which column was
// meant, if it tells, but never its own words, which quote values and names.
func refusal(err *pq.Error) fault.Detail {
	if err.Code == pqerror.NotNullViolation {
		return fault.Detail{Field: err.Column, Code: "required", Message: "is required"}
	}
	return fault.Detail{Code: "refused", Message: "One of the values cannot be kept: a text, a number or a time is beyond what the database holds"}
}

// classify maps SQLSTATEs to codes, single ones before their class.
func classify(code pqerror.Code) (fault.Code, string) {
	switch code {
	case pqerror.QueryCanceled:
		return fault.Timeout, "The database took too long"
	case pqerror.UniqueViolation:
		return fault.Conflict, "It exists already"
	case pqerror.ForeignKeyViolation:
		return fault.Conflict, "It refers to something that does not exist, or is still referred to"
	case pqerror.CheckViolation, pqerror.NotNullViolation:
		return fault.Invalid, refused
	case pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected:
		return fault.Conflict, "It was changed at the same time; try again"
	case pqerror.LockNotAvailable, pqerror.ReadOnlySQLTransaction, pqerror.InvalidCatalogName:
		return fault.Unavailable, unavailable
	}
	switch code.Class() {
	case "22": // data exceptions: values that a column cannot hold
		return fault.Invalid, refused
	case "08", "28", "53", "57", "58": // connection, credentials, resources, shutdown, input and output
		return fault.Unavailable, unavailable
	}
	return fault.Internal, "Database error"
}

func isConnectionLost(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
