package cached

import (
	"context"

	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/favorite"
)

// Categories is a category.Repository with caches in front of it. It may be used by many goroutines.
type Categories struct {
	category.Repository
	Caches
}

var _ category.Repository = Categories{}

// All implements category.Repository.
func (c Categories) All(ctx context.Context) ([]category.Category, error) {
	return cache.Read(ctx, c.Entities, "categories", []string{allCategories}, c.Repository.All)
}

// Of implements category.Repository.
func (c Categories) Of(ctx context.Context, scoreID string) ([]category.Category, error) {
	return cache.Read(ctx, c.Entities, "categories of "+scoreID, []string{allCategories, scoreTag(scoreID)},
		func(ctx context.Context) ([]category.Category, error) { return c.Repository.Of(ctx, scoreID) })
}

// Insert implements category.Repository.
func (c Categories) Insert(ctx context.Context, added category.Category) (category.Category, error) {
	defer c.Changed(ctx, allCategories, visibleScores)
	return c.Repository.Insert(ctx, added)
}

// Replace implements category.Repository.
func (c Categories) Replace(ctx context.Context, next category.Category) (category.Category, error) {
	defer c.Changed(ctx, allCategories, visibleScores)
	return c.Repository.Replace(ctx, next)
}

// Remove implements category.Repository.
func (c Categories) Remove(ctx context.Context, id string, version int64) error {
	defer c.Changed(ctx, allCategories, visibleScores)
	return c.Repository.Remove(ctx, id, version)
}

// Assign implements category.Repository.
func (c Categories) Assign(ctx context.Context, scoreID string, version int64, ids []string) (int64, error) {
	defer c.Changed(ctx, scoreTag(scoreID), visibleScores)
	return c.Repository.Assign(ctx, scoreID, version, ids)
}

// Favorites is a favorite.Repository that tells of changes, since cards show how many favor them. It may be used by many goroutines.
type Favorites struct {
	favorite.Repository
	Caches
}

var _ favorite.Repository = Favorites{}

// Insert implements favorite.Repository.
func (f Favorites) Insert(ctx context.Context, userID, scoreID string) error {
	defer f.Changed(ctx, visibleScores)
	return f.Repository.Insert(ctx, userID, scoreID)
}

// Remove implements favorite.Repository.
func (f Favorites) Remove(ctx context.Context, userID, scoreID string) error {
	defer f.Changed(ctx, visibleScores)
	return f.Repository.Remove(ctx, userID, scoreID)
}
