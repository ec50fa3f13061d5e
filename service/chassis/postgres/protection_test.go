package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/resilience"
)

func TestIsRead(t *testing.T) {
	for text, want := range map[string]bool{
		`select id, updated_at from scores where id = $1`: true,
		"\n\tSELECT\n1": true,
		`with cards as (select 1) select * from cards`:                            true,
		`insert into scores (id) values ($1)`:                                     false,
		`update scores set title = $1`:                                            false,
		`delete from scores`:                                                      false,
		`with gone as (delete from scores returning id) select id from gone`:      false,
		`select id from scores where id = $1 for update`:                          false,
		`select pg_notify('events', '')`:                                          false,
		`select nextval('numbers')`:                                               false,
		`select pg_advisory_lock(1)`:                                              false,
		`do $$ begin end $$`:                                                      false,
		`select 'please do not delete'`:                                           false,
		`select deleted_at, call_count from scores order by updates, inserted_at`: true,
		``: false,
	} {
		if got := isRead(text); got != want {
			t.Errorf("%q is a read: %t, want %t", text, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	code := func(code pqerror.Code) error {
		return translate(context.Background(), "test", &pq.Error{Code: code})
	}
	for name, tc := range map[string]struct {
		err  error
		want resilience.Outcome
	}{
		"a duplicate":                     {code(pqerror.UniqueViolation), resilience.Served},
		"a bad value":                     {code(pqerror.InvalidTextRepresentation), resilience.Served},
		"a bad statement":                 {code(pqerror.SyntaxError), resilience.Served},
		"a missing right":                 {code(pqerror.InsufficientPrivilege), resilience.Served},
		"an error that is none of its":    {errors.New("scanning"), resilience.Served},
		"a fault of the caller":           {fault.New(fault.NotFound, "absent"), resilience.Served},
		"a serialization failure":         {code(pqerror.TRSerializationFailure), resilience.RolledBack},
		"a deadlock":                      {code(pqerror.TRDeadlockDetected), resilience.RolledBack},
		"a lock that was not to be had":   {code(pqerror.LockNotAvailable), resilience.RolledBack},
		"a statement that took too long":  {code(pqerror.QueryCanceled), resilience.Failed},
		"too many connections":            {code(pqerror.TooManyConnections), resilience.NotReached},
		"a server that starts":            {code(pqerror.CannotConnectNow), resilience.NotReached},
		"a server that shuts down":        {code(pqerror.AdminShutdown), resilience.Lost},
		"a full disk":                     {code(pqerror.DiskFull), resilience.Lost},
		"a connection that broke":         {translate(context.Background(), "test", io.ErrUnexpectedEOF), resilience.Lost},
		"a connection that is bad":        {translate(context.Background(), "test", driver.ErrBadConn), resilience.Lost},
		"an attempt without an answer":    {fault.Of(fmt.Errorf("querying: %w", context.DeadlineExceeded)), resilience.Lost},
		"no connection":                   {fault.Wrap(fault.Unavailable, unavailable, notConnected{io.EOF}), resilience.NotReached},
		"rows that end too early":         {translate(context.Background(), "test", brokenOff{io.ErrUnexpectedEOF}), resilience.Failed},
		"a deadlock in the midst of rows": {translate(context.Background(), "test", brokenOff{&pq.Error{Code: pqerror.TRDeadlockDetected}}), resilience.Served},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Judge(tc.err); got != tc.want {
				t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
			}
		})
	}
}

func TestIsUndone(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                        {},
		"a value that is refused":        {&pq.Error{Code: pqerror.CheckViolation}, true},
		"a deadlock":                     {&pq.Error{Code: pqerror.TRDeadlockDetected}, true},
		"a statement that took too long": {&pq.Error{Code: pqerror.QueryCanceled}, false},
		"a server that shuts down":       {&pq.Error{Code: pqerror.AdminShutdown}, false},
		"a connection that is lost":      {driver.ErrBadConn, false},
		"a caller who has gone":          {context.Canceled, false},
		"a call that was not made":       {fault.Wrap(fault.Unavailable, "full", resilience.ErrFull), false},
		"a row that cannot be read":      {errors.New("scanning"), false},
		"a fault around a refusal":       {translate(t.Context(), "x", &pq.Error{Code: pqerror.UniqueViolation}), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsUndone(tc.err); got != tc.want {
				t.Errorf("IsUndone(%v) = %t, want %t", tc.err, got, tc.want)
			}
		})
	}
}
