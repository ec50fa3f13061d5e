package store

import (
	"context"

	"github.com/mirubato/mirubato/service/chassis/together"
	"github.com/mirubato/mirubato/service/scores"
)

// PageStatement shows tests the statement behind a list.
func PageStatement(f scores.Filter) (text string, args []any) { return newListing(f, nil).page() }

// SearchStatement shows tests the statement behind a search.
func SearchStatement(words string, f scores.Filter) (text string, args []any) {
	return searching(words, f)
}

// InsertTogether inserts several scores by one statement.
func (s *Store) InsertTogether(ctx context.Context, all []scores.Score) ([]together.Answer[scores.Score], error) {
	return s.insertTogether(ctx, all)
}

// ReplaceTogether replaces several scores by one statement.
func (s *Store) ReplaceTogether(ctx context.Context, all []scores.Replacement) ([]together.Answer[scores.Score], error) {
	return s.replaceTogether(ctx, all)
}

// FindTogether finds several scores by one statement.
func (s *Store) FindTogether(ctx context.Context, ids []string) ([]together.Answer[scores.Score], error) {
	return s.findTogether(ctx, ids)
}
