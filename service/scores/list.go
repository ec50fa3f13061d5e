package scores

import (
	"context"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Sort is what a list is ordered by. Scores that are equal in it, or lack it, follow in the order of their IDs.
type Sort string

// The sorts.
const (
	ByCreatedAt       Sort = "createdAt"
	ByUpdatedAt       Sort = "updatedAt"
	ByTitle           Sort = "title"
	ByComposer        Sort = "composer"
	ByDifficultyLevel Sort = "difficultyLevel"
)

// ListQuery is what a caller wants to see. Empty filters match everything.
type ListQuery struct {
	// Page counts from 1.
	Page int
	// Limit is at least 1.
	Limit int
	Sort  Sort
	// Descending reverses the order.
	Descending bool

	// OwnerID matches scores of one owner.
	OwnerID    string
	Status     Status
	Visibility Visibility
	// Composer matches regardless of case.
	Composer string
	// Instrument matches scores written for it and, if it is piano or guitar, those for both.
	Instrument Instrument
	Difficulty Difficulty
}

// Page is one page of a list.
type Page struct {
	Scores []Score
	// Total is the number of scores on all pages.
	Total int64
}

// Filter is a ListQuery together with what its caller may list.
type Filter struct {
	ListQuery
	Selection Selection
}

// List implements Service.
func (l *Library) List(ctx context.Context, caller auth.Identity, q ListQuery) (Page, error) {
	found, total, err := l.repo.List(ctx, Filter{ListQuery: q, Selection: selectionFor(caller)})
	if err != nil {
		return Page{}, err
	}
	return Page{Scores: found, Total: total}, nil
}
