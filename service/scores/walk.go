package scores

import (
	"context"
	"strconv"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Position is a place in a list: right behind a card. Walking a list by positions stays even when scores are added or
// removed meanwhile: nothing is shown twice, and nothing that was there all the time is left out.
type Position struct {
	// ID is that of the card.
	ID string
	// Value is what the list is sorted by, as text; nil if the card lacks it.
	Value *string
}

// Stretch is a part of a list between two positions.
type Stretch struct {
	Cards []Card
	// Next is where the next stretch begins, nil at the end of the list.
	Next *Position
}

// Walk implements Service.
func (l *Library) Walk(ctx context.Context, caller auth.Identity, q ListQuery, after *Position) (Stretch, error) {
	limit := q.Limit
	q.Limit++ // one more tells whether the list goes on
	found, err := l.repo.Walk(ctx, Filter{ListQuery: q, Selection: SelectionFor(caller)}, after)
	if err != nil {
		return Stretch{}, err
	}
	if len(found) <= limit {
		return Stretch{Cards: found}, nil
	}
	found = found[:limit]
	next := positionOf(found[limit-1], q.Sort)
	return Stretch{Cards: found, Next: &next}, nil
}

func positionOf(c Card, sort Sort) Position {
	p := Position{ID: c.ID}
	switch sort {
	case ByCreatedAt:
		p.Value = new(c.CreatedAt.Format(time.RFC3339Nano))
	case ByUpdatedAt:
		p.Value = new(c.UpdatedAt.Format(time.RFC3339Nano))
	case ByTitle:
		p.Value = &c.Title
	case ByComposer:
		p.Value = c.Composer
	case ByDifficultyLevel:
		if c.DifficultyLevel != nil {
			p.Value = new(strconv.Itoa(*c.DifficultyLevel))
		}
	}
	return p
}
