package scores

import (
	"context"
	"time"

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

func sorts() []Sort {
	return []Sort{ByCreatedAt, ByUpdatedAt, ByTitle, ByComposer, ByDifficultyLevel}
}

// mayLack reports whether a score may have no value to sort by.
func (s Sort) mayLack() bool { return s == ByComposer || s == ByDifficultyLevel }

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
	Instrument  Instrument
	Difficulty  Difficulty
	StylePeriod string
	// CategoryID matches scores in the category or one below it.
	CategoryID string
	// Tag matches scores that have it, in the same case.
	Tag string
	// From and To match scores that were created from then on, and before.
	From, To time.Time
}

// Page is one page of a list.
type Page struct {
	Cards []Card
	// Total is the number of cards on all pages.
	Total int64
}

// Filter is a ListQuery together with what its caller may list.
type Filter struct {
	ListQuery
	Selection Selection
}

// List implements Service.
func (l *Library) List(ctx context.Context, caller auth.Identity, q ListQuery) (Page, error) {
	found, total, err := l.repo.List(ctx, Filter{ListQuery: q, Selection: SelectionFor(caller)})
	if err != nil {
		return Page{}, err
	}
	return Page{Cards: found, Total: total}, nil
}
