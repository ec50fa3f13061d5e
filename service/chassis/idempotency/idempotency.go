// Package idempotency lets a client send a write again without its being done again: whoever names a request by a key
// gets the first answer back when it comes a second time. It owns the table idempotency_keys, which the migrations of
// the service bring. A request that was refused has changed nothing, so its key is free again.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/postgres"
)

const (
	// life is how long an answer is kept.
	life = 24 * time.Hour
	// maxKey is the length of a key.
	maxKey = 128
	// patience bounds keeping an answer and giving a key back, which happen even when the client is gone.
	patience = 2 * time.Second
	// leases is how many request timeouts a key stays with a request of which nothing is heard, because its process died.
	leases = 3
)

const (
	// One statement claims: it either inserts the key or takes over one that is free again.
	claim = `insert into idempotency_keys as k (user_id, route, key, request_hash, expires_at)
	values ($1, $2, $3, $4, now() + $5::bigint * interval '1 microsecond')
	on conflict (user_id, route, key) do update set request_hash = excluded.request_hash, status = null, header = null,
		body = null, claimed_at = now(), expires_at = excluded.expires_at
	where k.expires_at <= now() or (k.status is null and k.claimed_at <= now() - $6::bigint * interval '1 microsecond')`

	find = `select request_hash, status, header, body from idempotency_keys
	where user_id = $1 and route = $2 and key = $3`

	keep = `update idempotency_keys set status = $4, header = $5, body = $6
	where user_id = $1 and route = $2 and key = $3 and status is null`

	release = `delete from idempotency_keys where user_id = $1 and route = $2 and key = $3 and status is null`

	sweep = `delete from idempotency_keys where (user_id, route, key) in (
		select user_id, route, key from idempotency_keys where expires_at <= now() order by expires_at limit 1000)`
)

// keptHeaders are those of an answer that belong to what was done, and not to the request that did it.
func keptHeaders() []string {
	return []string{"Content-Type", "Cache-Control", "Location", "ETag", "Vary"}
}

// Keys remembers requests by their keys. It may be used by many goroutines.
type Keys struct {
	timeout                           func() time.Duration
	logger                            *slog.Logger
	claim, find, keep, release, sweep *postgres.Statement
}

// New returns keys for requests that take no longer than the timeout. It does not touch the database before it is used.
func New(db *postgres.DB, timeout func() time.Duration, logger *slog.Logger) *Keys {
	return &Keys{
		timeout: timeout, logger: logger,
		claim:   db.Prepared("idempotency_keys.claim", claim),
		find:    db.Prepared("idempotency_keys.find", find),
		keep:    db.Prepared("idempotency_keys.keep", keep, postgres.Repeatable),
		release: db.Prepared("idempotency_keys.release", release, postgres.Repeatable),
		sweep:   db.Prepared("idempotency_keys.sweep", sweep, postgres.Repeatable),
	}
}

// Sweep removes keys that have expired, at most a thousand.
func (k *Keys) Sweep(ctx context.Context) error {
	_, err := k.sweep.Exec(ctx)
	return err
}

// name is what a key is unique by.
type name struct{ user, route, key string }

func (n name) args(more ...any) []any { return append([]any{n.user, n.route, n.key}, more...) }

// Wrap is a httpapi.Wrapper that heeds the key of a write. It belongs behind the guard, since keys are the caller's.
func (k *Keys) Wrap(route httpapi.Route, next http.Handler) http.Handler {
	if !route.TakesKey() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Values(httpapi.IdempotencyKeyHeader)
		if len(given) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if err := k.serve(w, r, route.Pattern(), given, next); err != nil {
			httpapi.WriteError(r.Context(), w, err)
		}
	})
}

// serve does what the key asks for. It returns an error if nothing was answered.
func (k *Keys) serve(w http.ResponseWriter, r *http.Request, route string, given []string, next http.Handler) error {
	if len(given) != 1 || !isKey(given[0]) {
		return fault.InvalidInput("Invalid idempotency key", fault.Detail{
			Field: httpapi.IdempotencyKeyHeader, Code: "text",
			Message: fmt.Sprintf("must be given once, with 1 to %d visible ASCII characters", maxKey),
		})
	}
	body, err := httpapi.ReadBody(r)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	n := name{user: auth.FromContext(r.Context()).ID, route: route, key: given[0]}
	hash := hashOf(r, body)
	claimed, err := k.claim.Exec(r.Context(), n.args(hash, life.Microseconds(), (leases*k.timeout()).Microseconds())...)
	if err != nil {
		return err
	}
	if claimed == 0 {
		return k.repeat(w, r, n, hash)
	}
	k.first(w, r, n, next)
	return nil
}

func isKey(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return key != "" && len(key) <= maxKey
}

// hashOf identifies what is asked for. Two bodies that mean the same JSON are the same, whatever their spaces and the order
// of their fields.
func hashOf(r *http.Request, body []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err == nil && !dec.More() {
		if canonical, err := json.Marshal(value); err == nil {
			body = canonical
		}
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%q\n%q\n%q\n", r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("If-Match"))
	sum.Write(body)
	return sum.Sum(nil)
}

// repeat answers a request whose key is taken.
func (k *Keys) repeat(w http.ResponseWriter, r *http.Request, n name, hash []byte) error {
	var kept struct {
		hash, header, body []byte
		status             *int
	}
	err := k.find.QueryRow(r.Context(), []any{&kept.hash, &kept.status, &kept.header, &kept.body}, n.args()...)
	switch {
	case err != nil && !errors.Is(err, postgres.ErrNoRows):
		return err
	case err == nil && !bytes.Equal(kept.hash, hash):
		return fault.New(fault.Conflict, "The idempotency key was used for another request")
	case err != nil || kept.status == nil:
		// The first request is still running, or has just been refused.
		w.Header().Set("Retry-After", "1")
		return fault.New(fault.Conflict, "The request with this idempotency key is still being served")
	}
	var header map[string][]string
	if err := json.Unmarshal(kept.header, &header); err != nil {
		return fmt.Errorf("reading a kept answer: %w", err)
	}
	for key, values := range header {
		w.Header()[key] = values
	}
	w.Header().Set(httpapi.ReplayedHeader, "true")
	w.WriteHeader(*kept.status)
	_, _ = w.Write(kept.body)
	return nil
}

// first serves the request and keeps its answer before it is sent, so that whoever has it can ask for it again.
func (k *Keys) first(w http.ResponseWriter, r *http.Request, n name, next http.Handler) {
	a := &answer{header: w.Header().Clone()}
	// A panic is answered further out; the key must not wait for that.
	finished := false
	defer func(ctx context.Context) {
		if !finished || a.result() >= http.StatusBadRequest {
			k.store(ctx, k.release, n.args())
		}
	}(r.Context())
	next.ServeHTTP(a, r)
	finished = true
	if a.result() < http.StatusBadRequest {
		k.store(r.Context(), k.keep, n.args(a.result(), a.kept(), a.body.Bytes()))
	}
	for key, values := range a.header {
		w.Header()[key] = values
	}
	w.WriteHeader(a.result())
	_, _ = w.Write(a.body.Bytes())
}

// store writes the outcome even when the client is gone. When it cannot, the key is free again after its lease.
func (k *Keys) store(ctx context.Context, statement *postgres.Statement, args []any) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := statement.Exec(ctx, args...); err != nil {
		k.logger.WarnContext(ctx, "Keeping an answer for its idempotency key", "error", err.Error())
	}
}

// answer is a http.ResponseWriter that holds the answer back.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) result() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// kept is the part of the header that is kept, as JSON.
func (a *answer) kept() string {
	header := map[string][]string{}
	for _, key := range keptHeaders() {
		if values := a.header.Values(key); len(values) > 0 {
			header[http.CanonicalHeaderKey(key)] = values
		}
	}
	// A map of texts can always be encoded.
	encoded, _ := json.Marshal(header)
	return string(encoded)
}
