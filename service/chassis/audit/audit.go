// Package audit keeps a lasting record of privileged acts: who did what to what, when, and by which request. It owns the
// table audit_log, which the migrations of the service bring, and the route that shows it; what is privileged is decided
// by whoever acts.
package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/postgres"
)

// Event is a privileged act.
type Event struct {
	// Actor is who acts.
	Actor auth.Identity
	// Action names the act, such as "user.create": at most 64 characters.
	Action string
	// Target is the ID of the thing that is acted upon.
	Target string
	// Details say more; they never hold secrets. nil is none.
	Details map[string]any
}

// Recorder records privileged acts.
type Recorder interface {
	// Record keeps the event and does the act, which uses the context that it is given: what is recorded was done, and
	// what was done is recorded. An error of act is returned as it is; others are faults.
	Record(ctx context.Context, e Event, act func(context.Context) error) error
}

// Entry is an event that was recorded.
type Entry struct {
	ID        string          `json:"id"`
	At        time.Time       `json:"at"`
	ActorID   string          `json:"actorId"`
	ActorRole string          `json:"actorRole"`
	Action    string          `json:"action"`
	Target    string          `json:"target"`
	RequestID string          `json:"requestId"`
	Details   json.RawMessage `json:"details"`
}

// Log implements Recorder on a database. It may be used by many goroutines.
type Log struct {
	db                  *postgres.DB
	newID               func() string
	insert, list, count *postgres.Statement
}

var _ Recorder = (*Log)(nil)

// New returns a log. newID returns a random UUID. It does not touch the database before it is used.
func New(db *postgres.DB, newID func() string) *Log {
	return &Log{
		db: db, newID: newID,
		insert: db.Prepared("audit.insert", `insert into audit_log (id, actor_id, actor_role, action, target, request_id, details)
			values ($1, $2, $3, $4, $5, $6, $7)`),
		list: db.Prepared("audit.list", `select id, at, actor_id, actor_role, action, target, request_id, details
			from audit_log order by at desc, id desc limit $1 offset $2`),
		count: db.Prepared("audit.count", `select count(*) from audit_log`),
	}
}

// Record implements Recorder, by a transaction around both.
func (l *Log) Record(ctx context.Context, e Event, act func(context.Context) error) error {
	details := []byte("{}")
	if e.Details != nil {
		var err error
		if details, err = json.Marshal(e.Details); err != nil {
			return fmt.Errorf("recording %s: %w", e.Action, err)
		}
	}
	return l.db.Atomically(ctx, func(ctx context.Context) error {
		_, err := l.insert.Exec(ctx, l.newID(), e.Actor.ID, string(e.Actor.Role), e.Action, e.Target,
			httpapi.RecordOf(ctx).RequestID, string(details))
		if err != nil {
			return err
		}
		return act(ctx)
	})
}

// List returns one page, counted from 1, of the entries, the newest first, and how many there are.
func (l *Log) List(ctx context.Context, page, limit int) ([]Entry, int64, error) {
	var entries []Entry
	err := l.list.Query(ctx, func(rows *sql.Rows) error {
		var e Entry
		var details []byte
		err := rows.Scan(&e.ID, &e.At, &e.ActorID, &e.ActorRole, &e.Action, &e.Target, &e.RequestID, &details)
		e.At, e.Details = e.At.UTC(), details
		entries = append(entries, e)
		return err
	}, limit, (page-1)*limit)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	err = l.count.QueryRow(ctx, []any{&total})
	return entries, total, err
}

// Routes are the list of entries, for admins.
func (l *Log) Routes() []httpapi.Route {
	return []httpapi.Route{{
		Method: http.MethodGet, Path: "/api/admin/audit", Access: httpapi.Admins,
		Name: "listAudit", Group: "Administration", Summary: "List privileged acts, the newest first",
		Params: httpapi.PageParams{}, Status: http.StatusOK, Response: httpapi.ListEnvelope[Entry]{},
		Handler: httpapi.Handle(decodePage, l.page, func(p page) httpapi.Response {
			return httpapi.List(p.entries, httpapi.Paginate(p.page, p.limit, p.total))
		}),
	}}
}

// page is a part of the log and where it lies.
type page struct {
	page, limit int
	entries     []Entry
	total       int64
}

func decodePage(r *http.Request) (page, error) {
	q := httpapi.ReadQuery(r)
	var p page
	p.page, p.limit = q.Page()
	return p, q.Err()
}

func (l *Log) page(ctx context.Context, p page) (page, error) {
	var err error
	p.entries, p.total, err = l.List(ctx, p.page, p.limit)
	return p, err
}
