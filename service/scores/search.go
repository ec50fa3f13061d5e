package scores

import (
	"context"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Limits of the lists that have no pages, which searches are.
const (
	// MaxSearchText is the longest text to search for, in characters.
	MaxSearchText = 200
	// MaxShortList is the greatest number of cards.
	MaxShortList = 50
	// DefaultShortList is their number if nothing is said.
	DefaultShortList = 10
)

// SearchQuery is what a caller looks for. Of the list query it takes the filters and the limit.
type SearchQuery struct {
	// Text holds words. A score matches if each of them is the beginning of a word of its title, composer, opus, tags or
	// description, regardless of case and accents. A text without words matches nothing.
	Text string
	ListQuery
}

// Search implements Service.
func (l *Library) Search(ctx context.Context, caller auth.Identity, q SearchQuery) ([]Card, error) {
	return l.repo.Search(ctx, q.Text, Filter{ListQuery: q.ListQuery, Selection: SelectionFor(caller)})
}

// Recent implements Service.
func (l *Library) Recent(ctx context.Context, caller auth.Identity, limit int) ([]Card, error) {
	newest := ListQuery{Limit: limit, Sort: ByCreatedAt, Descending: true}
	return l.repo.Walk(ctx, Filter{ListQuery: newest, Selection: SelectionFor(caller)}, nil)
}
