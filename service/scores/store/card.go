package store

import (
	"context"
	"database/sql"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores"
)

// cardColumns are the columns of a card in the order of cardDest.
const cardColumns = `score_id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level, style_period,
	key_signature, duration_seconds, tags, status, visibility, version, created_at, updated_at,
	favorite_count, collection_count, categories`

func cardDest(c *scores.Card) []any {
	return []any{
		&c.ID, &c.OwnerID, &c.Title, &c.Composer, &c.Opus, &c.Instrument, &c.Difficulty, &c.DifficultyLevel, &c.StylePeriod,
		&c.KeySignature, &c.DurationSeconds, pq.Array(&c.Tags), &c.Status, &c.Visibility, &c.Version, &c.CreatedAt,
		&c.UpdatedAt, &c.FavoriteCount, &c.CollectionCount, pq.Array(&c.Categories),
	}
}

// List implements scores.Repository. The number of all matches is counted by a second statement, unless the page shows
// it; the two may differ by what is written in between.
func (s *Store) List(ctx context.Context, f scores.Filter) ([]scores.Card, int64, error) {
	q := newListing(f, nil)
	text, args := q.page()
	found, err := s.cards(ctx, "scores.list", text, args)
	if err != nil {
		return nil, 0, err
	}
	before := (f.Page - 1) * f.Limit
	if len(found) < f.Limit && (len(found) > 0 || before == 0) {
		return found, int64(before + len(found)), nil
	}
	var total int64
	text, args = q.count()
	if err := s.shape("scores.count", text).QueryRow(ctx, []any{&total}, args...); err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

// Walk implements scores.Repository.
func (s *Store) Walk(ctx context.Context, f scores.Filter, after *scores.Position) ([]scores.Card, error) {
	text, args := newListing(f, after).first()
	return s.cards(ctx, "scores.walk", text, args)
}

// Search implements scores.Repository.
func (s *Store) Search(ctx context.Context, words string, f scores.Filter) ([]scores.Card, error) {
	text, args := searching(words, f)
	return s.cards(ctx, "scores.search", text, args)
}

// popularity is how popular a score is; it is written as in the index on it.
const popularity = "(favorite_count * 10 + read_count)"

const popularCards = `select ` + cardColumns + ` from score_cards where visibility = 'public'
	order by ` + popularity + ` desc, score_id limit $1`

// Popular implements scores.Repository.
func (s *Store) Popular(ctx context.Context, limit int) ([]scores.Card, error) {
	return s.cards(ctx, "scores.popular", popularCards, []any{limit})
}

// addReads locks the cards in the order of their IDs, so that two of them wait for each other instead of deadlocking.
const addReads = `with counted as (
	select c.score_id, r.n from score_cards c join unnest($1::uuid[], $2::bigint[]) as r (id, n) on c.score_id = r.id
	order by c.score_id for no key update of c)
	update score_cards set read_count = read_count + counted.n from counted where score_cards.score_id = counted.score_id`

// AddReads implements scores.Repository.
func (s *Store) AddReads(ctx context.Context, counts map[string]int64) error {
	ids, numbers := make([]string, 0, len(counts)), make([]int64, 0, len(counts))
	for id, n := range counts {
		ids, numbers = append(ids, id), append(numbers, n)
	}
	_, err := s.addReads.Exec(ctx, pq.Array(ids), pq.Array(numbers))
	return err
}

// cards reads what a statement that selects cardColumns finds.
func (s *Store) cards(ctx context.Context, name, text string, args []any) ([]scores.Card, error) {
	return readCards(ctx, s.shape(name, text), args...)
}

func readCards(ctx context.Context, st *postgres.Statement, args ...any) ([]scores.Card, error) {
	var found []scores.Card
	err := st.Query(ctx, func(rows *sql.Rows) error {
		var c scores.Card
		if err := rows.Scan(cardDest(&c)...); err != nil {
			return err
		}
		c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
		found = append(found, c)
		return nil
	}, args...)
	return found, err
}
