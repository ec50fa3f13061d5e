package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores/interchange"
)

const (
	insertImport = `insert into score_imports (id, owner_id, format, size, sha256) values ($1, $2, $3, $4, $5)`

	// The lock keeps imports of one owner from being added beside each other, where none would see the others.
	lockWaiting = `select pg_advisory_xact_lock(hashtextextended('score_imports ' || $1, 0))`

	sumWaiting = `select coalesce(sum(size), 0)::bigint from score_imports where owner_id = $1`

	findImport = `select id, owner_id, format, size, sha256, done, created, updated, unchanged, refused from score_imports where id = $1`

	lockImport = `select done from score_imports where id = $1 for update`

	advanceImport = `update score_imports set done = done + $2::integer + $3::integer + $4::integer + $5::integer,
		created = created + $2, updated = updated + $3, unchanged = unchanged + $4, refused = refused + $5
	where id = $1`

	keepRefused = `insert into score_import_refusals (import_id, line, told)
	select $1::uuid, line, told::jsonb from unnest($2::integer[], $3::text[]) as refused (line, told)`

	findRefused = `select told from score_import_refusals where import_id = $1 order by line`

	removeImport = `delete from score_imports where id = $1`

	sweepImports = `delete from score_imports where id in (select id from score_imports
		where created_at < now() - $1::bigint * interval '1 second' order by created_at limit 1000)`
)

// Imports implements interchange.Imports. It may be used by many goroutines.
type Imports struct {
	db                                                        *postgres.DB
	insert, find, lock, advance, keep, refused, remove, sweep *postgres.Statement
	lockWaiting, sumWaiting                                   *postgres.Statement
}

var _ interchange.Imports = (*Imports)(nil)

// NewImports returns a store of imports. It does not touch the database before it is used.
func NewImports(db *postgres.DB) *Imports {
	return &Imports{
		db:      db,
		insert:  db.Prepared("imports.insert", insertImport),
		find:    db.Prepared("imports.find", findImport),
		lock:    db.Prepared("imports.lock", lockImport),
		advance: db.Prepared("imports.advance", advanceImport),
		keep:    db.Prepared("imports.keep_refused", keepRefused),
		refused: db.Prepared("imports.refused", findRefused),
		remove:  db.Prepared("imports.remove", removeImport, postgres.Repeatable),
		sweep:   db.Prepared("imports.sweep", sweepImports, postgres.Repeatable),

		lockWaiting: db.Prepared("imports.lock_waiting", lockWaiting),
		sumWaiting:  db.Prepared("imports.sum_waiting", sumWaiting),
	}
}

// Atomically implements interchange.Imports.
func (s *Imports) Atomically(ctx context.Context, do func(context.Context) error) error {
	return s.db.Atomically(ctx, do)
}

// Insert implements interchange.Imports.
func (s *Imports) Insert(ctx context.Context, k interchange.Kept) error {
	_, err := s.insert.Exec(ctx, k.ID, k.OwnerID, string(k.Format), k.Size, k.Sum[:])
	return err
}

// LockWaiting implements interchange.Imports. The sum is a statement of its own, since one that waits for the lock would not see what
// was added meanwhile.
func (s *Imports) LockWaiting(ctx context.Context, owner string) (bytes int64, err error) {
	if _, err := s.lockWaiting.Exec(ctx, owner); err != nil {
		return 0, err
	}
	err = s.sumWaiting.QueryRow(ctx, []any{&bytes}, owner)
	return bytes, err
}

// Find implements interchange.Imports.
func (s *Imports) Find(ctx context.Context, id string) (interchange.Kept, error) {
	var k interchange.Kept
	var sum []byte
	err := s.find.QueryRow(ctx, []any{
		&k.ID, &k.OwnerID, &k.Format, &k.Size, &sum, &k.Done, &k.Counts.Created, &k.Counts.Updated, &k.Counts.Unchanged, &k.Counts.Refused,
	}, id)
	if err != nil {
		return k, absentImport(err)
	}
	k.Sum = blob.Sum(sum)
	return k, nil
}

func absentImport(err error) error {
	if errors.Is(err, postgres.ErrNoRows) {
		return interchange.ErrAbsent
	}
	return err
}

// Lock implements interchange.Imports.
func (s *Imports) Lock(ctx context.Context, id string) (done int, err error) {
	err = s.lock.QueryRow(ctx, []any{&done}, id)
	return done, absentImport(err)
}

// Advance implements interchange.Imports.
func (s *Imports) Advance(ctx context.Context, id string, did interchange.Counts, refused []interchange.Line) error {
	if _, err := s.advance.Exec(ctx, id, did.Created, did.Updated, did.Unchanged, did.Refused); err != nil || len(refused) == 0 {
		return err
	}
	lines, told := make([]int64, len(refused)), make([]string, len(refused))
	for n, line := range refused {
		encoded, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("encoding a line: %w", err)
		}
		lines[n], told[n] = int64(line.Line), string(encoded)
	}
	_, err := s.keep.Exec(ctx, id, pq.Array(lines), pq.Array(told))
	return err
}

// Refused implements interchange.Imports.
func (s *Imports) Refused(ctx context.Context, id string) ([]interchange.Line, error) {
	var found []interchange.Line
	err := s.refused.Query(ctx, func(rows *sql.Rows) error {
		var told []byte
		if err := rows.Scan(&told); err != nil {
			return err
		}
		var line interchange.Line
		err := json.Unmarshal(told, &line)
		found = append(found, line)
		return err
	}, id)
	return found, err
}

// Remove implements interchange.Imports.
func (s *Imports) Remove(ctx context.Context, id string) error {
	_, err := s.remove.Exec(ctx, id)
	return err
}

// Sweep implements interchange.Imports.
func (s *Imports) Sweep(ctx context.Context, age time.Duration) error {
	_, err := s.sweep.Exec(ctx, int64(age/time.Second))
	return err
}
