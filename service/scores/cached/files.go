package cached

import (
	"context"

	"github.com/mirubato/mirubato/service/scores/file"
)

// Files is a file.Repository that tells the caches what files change about their scores. It may be used by many goroutines.
type Files struct {
	file.Repository
	Caches
}

var _ file.Repository = Files{}

// Remove implements file.Repository.
func (f Files) Remove(ctx context.Context, v file.Version) error {
	defer f.Changed(ctx, visibleScores, scoreTag(v.ScoreID))
	return f.Repository.Remove(ctx, v)
}

// Complete implements file.Repository.
func (f Files) Complete(ctx context.Context, v file.Version, r file.Reading) error {
	defer f.Changed(ctx, visibleScores, scoreTag(v.ScoreID))
	return f.Repository.Complete(ctx, v, r)
}
