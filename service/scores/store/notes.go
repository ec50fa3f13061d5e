package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores/note"
)

const (
	findNotes = `select key_id, ciphertext, version, updated_at from score_notes where score_id = $1`

	putNotes = `insert into score_notes as n (score_id, key_id, ciphertext)
	select id, $2::bigint, $3::bytea from scores where id = $1 and owner_id = $4
		and ($5::bigint = 0 or exists (select from score_notes where score_id = $1))
	on conflict (score_id) do update set key_id = excluded.key_id, ciphertext = excluded.ciphertext,
		version = n.version + 1, updated_at = now()
	where $5::bigint = 0 or n.version = $5::bigint
	returning version, updated_at`

	removeNotes = `delete from score_notes where score_id = $1 and ($2::bigint = 0 or version = $2::bigint)`

	staleNotes = `select score_id, owner_id, key_id, ciphertext, score_notes.version
	from score_notes join scores on scores.id = score_id
	where key_id <> $1 and score_id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000')
	order by score_id limit $3`

	// The rows are locked in the order of their IDs, so that two rotations wait for each other instead of deadlocking.
	resealNotes = `with fresh as (
		select n.score_id, r.ciphertext
		from score_notes n join unnest($2::uuid[], $3::bigint[], $4::bytea[]) as r (id, version, ciphertext) on n.score_id = r.id
		where n.version = r.version and n.key_id <> $1 order by n.score_id for update of n)
	update score_notes set key_id = $1, ciphertext = fresh.ciphertext from fresh where score_notes.score_id = fresh.score_id`
)

// Notes implements note.Repository and note.Archive. It may be used by many goroutines.
type Notes struct {
	find, put, remove, stale, reseal *postgres.Statement
}

var (
	_ note.Repository = (*Notes)(nil)
	_ note.Archive    = (*Notes)(nil)
)

// NewNotes returns a store of notes. It does not touch the database before it is used.
func NewNotes(db *postgres.DB) *Notes {
	return &Notes{
		find:   db.Prepared("notes.find", findNotes),
		put:    db.Prepared("notes.put", putNotes),
		remove: db.Prepared("notes.remove", removeNotes),
		stale:  db.Prepared("notes.stale", staleNotes),
		reseal: db.Prepared("notes.reseal", resealNotes),
	}
}

// Find implements note.Repository. The owner is left to those who have read the score.
func (s *Notes) Find(ctx context.Context, scoreID string) (note.Row, error) {
	r := note.Row{ScoreID: scoreID}
	err := s.find.QueryRow(ctx, []any{&r.Sealed.KeyID, &r.Sealed.Ciphertext, &r.Version, &r.UpdatedAt}, scoreID)
	if errors.Is(err, postgres.ErrNoRows) {
		return r, note.ErrAbsent
	}
	r.UpdatedAt = r.UpdatedAt.UTC()
	return r, err
}

// Put implements note.Repository.
func (s *Notes) Put(ctx context.Context, r note.Row, ifVersion int64) (note.Row, error) {
	err := s.put.QueryRow(ctx, []any{&r.Version, &r.UpdatedAt},
		r.ScoreID, int64(r.Sealed.KeyID), r.Sealed.Ciphertext, r.OwnerID, ifVersion)
	if errors.Is(err, postgres.ErrNoRows) {
		return r, note.ErrAbsent
	}
	r.UpdatedAt = r.UpdatedAt.UTC()
	return r, err
}

// Remove implements note.Repository.
func (s *Notes) Remove(ctx context.Context, scoreID string, ifVersion int64) (bool, error) {
	n, err := s.remove.Exec(ctx, scoreID, ifVersion)
	return n > 0, err
}

// Stale implements note.Archive.
func (s *Notes) Stale(ctx context.Context, key uint32, after string, limit int) ([]note.Row, error) {
	var found []note.Row
	err := s.stale.Query(ctx, func(rows *sql.Rows) error {
		var r note.Row
		err := rows.Scan(&r.ScoreID, &r.OwnerID, &r.Sealed.KeyID, &r.Sealed.Ciphertext, &r.Version)
		found = append(found, r)
		return err
	}, int64(key), after, limit)
	return found, err
}

// Reseal implements note.Archive.
func (s *Notes) Reseal(ctx context.Context, rows []note.Row) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	ids, versions, ciphertexts := make([]string, 0, len(rows)), make([]int64, 0, len(rows)), make(pq.ByteaArray, 0, len(rows))
	for _, r := range rows {
		ids, versions, ciphertexts = append(ids, r.ScoreID), append(versions, r.Version), append(ciphertexts, r.Sealed.Ciphertext)
	}
	return s.reseal.Exec(ctx, int64(rows[0].Sealed.KeyID), pq.Array(ids), pq.Array(versions), ciphertexts)
}
