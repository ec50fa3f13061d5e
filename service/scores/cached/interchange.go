package cached

import (
	"context"

	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/interchange"
)

// Interchange is an interchange.Repository that tells the caches what an import changed. It may be used by many goroutines.
type Interchange struct {
	interchange.Repository
	Caches
}

var _ interchange.Repository = Interchange{}

// Import implements interchange.Repository.
func (i Interchange) Import(
	ctx context.Context, owner string, ids []string, decide func(map[string]scores.Fields) []scores.Score,
) (map[string]interchange.Outcome, error) {
	tags := make([]string, 0, len(ids)+1)
	tags = append(tags, visibleScores)
	for _, id := range ids {
		tags = append(tags, scoreTag(id))
	}
	defer i.Changed(ctx, tags...)
	return i.Repository.Import(ctx, owner, ids, decide)
}
