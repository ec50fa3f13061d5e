// Package store keeps the library in PostgreSQL. It owns the SQL on its tables, whose schema is in
// service/scores/migrations; it owns no rule of the domain.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"

	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/together"
	"github.com/mirubato/mirubato/service/scores"
)

// columns are all columns, in the order of scanned. They are listed one by one so that a column added by a newer
// release does not disturb the statements of this one.
const columns = `id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level, style_period,
	key_signature, time_signature, tempo_marking, duration_seconds, description, tags, metadata, status, visibility,
	analysis, version, created_at, updated_at`

const (
	// The conflict can only be the same statement sent again after the connection was lost, since the ID is random. Then it returns nothing.
	// An update that changes nothing would return the row, but then the triggers of updates run with every addition as well.
	insertScore = `insert into scores (id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level,
	style_period, key_signature, time_signature, tempo_marking, duration_seconds, description, tags, metadata, status,
	visibility)
	values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
	on conflict (id) do nothing
	returning ` + columns

	findScore = `select ` + columns + ` from scores where id = $1`

	removeScore = `delete from scores where id = $1 and version = $2`
)

// replaceScore writes those of the fields that are in the mask, $4.
var replaceScore = `update scores set ` + replacing("$4::integer", func(i int) string { return "$" + strconv.Itoa(5+i) }) + `
	where id = $1 and ($2::text = '' or owner_id = $2) and ($3::bigint = 0 or version = $3)
	returning ` + columns

// maxShapes is how many texts of list statements are kept prepared. Filters and sorts combine to about a thousand;
// each costs memory on every connection, and the common ones come first.
const maxShapes = 64

// Store implements scores.Repository. It may be used by many goroutines. As a prometheus.Collector it tells how much goes together.
type Store struct {
	db                            *postgres.DB
	insert, find, replace, remove *postgres.Statement
	removeMany, addReads          *postgres.Statement
	// findMany, insertMany and replaceMany do for several what find, insert and replace do for one.
	findMany, insertMany, replaceMany *postgres.Statement
	finds                             *together.Group[string, scores.Score]
	inserts                           *together.Group[scores.Score, scores.Score]
	replaces                          *together.Group[scores.Replacement, scores.Score]
	sizes                             *prometheus.HistogramVec

	mu     sync.Mutex
	shapes map[string]*postgres.Statement
}

var (
	_ scores.Repository    = (*Store)(nil)
	_ prometheus.Collector = (*Store)(nil)
)

// New returns a store. It does not touch the database before it is used.
func New(db *postgres.DB) *Store {
	s := &Store{
		db:      db,
		insert:  db.Prepared("scores.insert", insertScore, postgres.Repeatable),
		find:    db.Prepared("scores.find", findScore),
		replace: db.Prepared("scores.replace", replaceScore),
		remove:  db.Prepared("scores.remove", removeScore),
		shapes:  map[string]*postgres.Statement{},

		removeMany: db.Prepared("scores.remove_many", removeScores),
		addReads:   db.Prepared("scores.add_reads", addReads),
	}
	s.meet()
	return s
}

// Insert implements scores.Repository.
func (s *Store) Insert(ctx context.Context, score scores.Score) (scores.Score, error) {
	if s.mayMeet(ctx, score.ID) {
		return met(ctx, s.inserts, score)
	}
	return s.insertOne(ctx, score)
}

func (s *Store) insertOne(ctx context.Context, score scores.Score) (scores.Score, error) {
	var row scanned
	args := append([]any{score.ID, score.OwnerID}, values(score.Fields)...)
	err := s.insert.QueryRow(ctx, row.dest(), args...)
	switch {
	case errors.Is(err, postgres.ErrNoRows): // it was there
		return s.findOne(ctx, score.ID)
	case err != nil:
		return scores.Score{}, err
	}
	return row.score(), nil
}

// Find implements scores.Repository.
func (s *Store) Find(ctx context.Context, id string) (scores.Score, error) {
	if s.mayMeet(ctx, id) {
		return met(ctx, s.finds, id)
	}
	return s.findOne(ctx, id)
}

func (s *Store) findOne(ctx context.Context, id string) (scores.Score, error) {
	var row scanned
	if err := s.find.QueryRow(ctx, row.dest(), id); err != nil {
		return scores.Score{}, absent(err)
	}
	return row.score(), nil
}

// Replace implements scores.Repository.
func (s *Store) Replace(ctx context.Context, r scores.Replacement) (scores.Score, error) {
	if s.mayMeet(ctx, r.ID) {
		return met(ctx, s.replaces, r)
	}
	return s.replaceOne(ctx, r)
}

func (s *Store) replaceOne(ctx context.Context, r scores.Replacement) (scores.Score, error) {
	var row scanned
	args := append([]any{r.ID, r.OwnerID, r.Version, mask(r.Given)}, values(r.Fields)...)
	if err := s.replace.QueryRow(ctx, row.dest(), args...); err != nil {
		return scores.Score{}, absent(err)
	}
	return row.score(), nil
}

// Remove implements scores.Repository.
func (s *Store) Remove(ctx context.Context, id string, version int64) error {
	removed, err := s.remove.Exec(ctx, id, version)
	if err == nil && removed == 0 {
		return scores.ErrAbsent
	}
	return err
}

// shape returns the statement for a text, prepared if it is among the first that were asked for.
func (s *Store) shape(name, text string) *postgres.Statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.shapes[text]
	switch {
	case ok:
		return st
	case len(s.shapes) >= maxShapes:
		return s.db.Direct(name, text)
	}
	st = s.db.Prepared(name, text)
	s.shapes[text] = st
	return st
}

func absent(err error) error {
	if errors.Is(err, postgres.ErrNoRows) {
		return scores.ErrAbsent
	}
	return err
}

// values are the fields in the order of fieldColumns. JSON goes as string, since the driver would send bytes in a
// binary form that jsonb does not take.
func values(f scores.Fields) []any {
	return []any{
		f.Title, f.Composer, f.Opus, f.Instrument, f.Difficulty, f.DifficultyLevel, f.StylePeriod, f.KeySignature,
		f.TimeSignature, f.TempoMarking, f.DurationSeconds, f.Description, pq.Array(f.Tags), string(f.Metadata),
		f.Status, f.Visibility,
	}
}

// scanned is one row on its way to a score.
type scanned struct {
	s        scores.Score
	metadata []byte
	analysis []byte
}

// dest are the places of columns.
func (r *scanned) dest() []any {
	f := &r.s.Fields
	return []any{
		&r.s.ID, &r.s.OwnerID, &f.Title, &f.Composer, &f.Opus, &f.Instrument, &f.Difficulty, &f.DifficultyLevel,
		&f.StylePeriod, &f.KeySignature, &f.TimeSignature, &f.TempoMarking, &f.DurationSeconds, &f.Description,
		pq.Array(&f.Tags), &r.metadata, &f.Status, &f.Visibility, &r.analysis, &r.s.Version, &r.s.CreatedAt, &r.s.UpdatedAt,
	}
}

func (r *scanned) score() scores.Score {
	r.s.Analysis = r.analysis
	r.s.Metadata = json.RawMessage(r.metadata)
	r.s.CreatedAt, r.s.UpdatedAt = r.s.CreatedAt.UTC(), r.s.UpdatedAt.UTC()
	return r.s
}
