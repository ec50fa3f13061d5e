package store

import "github.com/mirubato/mirubato/service/scores"

// PageStatement shows tests the statement behind a list.
func PageStatement(f scores.Filter) (text string, args []any) { return newListing(f, nil).page() }

// SearchStatement shows tests the statement behind a search.
func SearchStatement(words string, f scores.Filter) (text string, args []any) {
	return searching(words, f)
}
