package cached

import (
	"context"
	"strconv"

	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/collection"
)

// Collections is a collection.Repository with caches in front of it. It may be used by many goroutines.
type Collections struct {
	collection.Repository
	Caches
}

var _ collection.Repository = Collections{}

// found is a collection and whether it is shared with the one who asked.
type found struct {
	Collection collection.Collection `json:"collection"`
	Shared     bool                  `json:"shared"`
}

// Find implements collection.Repository.
func (c Collections) Find(ctx context.Context, id, userID string) (collection.Collection, bool, error) {
	one, err := cache.Read(ctx, c.Entities, "collection "+id+" for "+userID, []string{collectionTag(id)},
		func(ctx context.Context) (f found, err error) {
			f.Collection, f.Shared, err = c.Repository.Find(ctx, id, userID)
			return f, err
		})
	return one.Collection, one.Shared, err
}

// List implements collection.Repository.
func (c Collections) List(
	ctx context.Context, s scores.Selection, owner string, page, limit int,
) ([]collection.Collection, int64, error) {
	if !isPublic(s) {
		return c.Repository.List(ctx, s, owner, page, limit)
	}
	all, err := listed(ctx, c.Caches, "collections", []any{owner, page, limit}, []string{publicCollections},
		func(ctx context.Context) (l list[collection.Collection], err error) {
			l.Items, l.Total, err = c.Repository.List(ctx, s, owner, page, limit)
			return l, err
		})
	return all.Items, all.Total, err
}

// Featured implements collection.Repository.
func (c Collections) Featured(ctx context.Context, limit int) ([]collection.Collection, error) {
	return cache.Read(ctx, c.Lists, "featured collections "+strconv.Itoa(limit), []string{publicCollections},
		func(ctx context.Context) ([]collection.Collection, error) { return c.Repository.Featured(ctx, limit) })
}

// Members implements collection.Repository.
func (c Collections) Members(
	ctx context.Context, s scores.Selection, of collection.Collection, page, limit int,
) ([]scores.Card, int64, error) {
	if !isPublic(s) {
		return c.Repository.Members(ctx, s, of, page, limit)
	}
	all, err := listed(ctx, c.Caches, "scores in", []any{of.ID, page, limit}, []string{collectionTag(of.ID), visibleScores},
		func(ctx context.Context) (l list[scores.Card], err error) {
			l.Items, l.Total, err = c.Repository.Members(ctx, s, of, page, limit)
			return l, err
		})
	return all.Items, all.Total, err
}

// Insert implements collection.Repository.
func (c Collections) Insert(ctx context.Context, added collection.Collection) (collection.Collection, error) {
	defer c.Changed(ctx, collectionTag(added.ID), publicCollections)
	return c.Repository.Insert(ctx, added)
}

// Replace implements collection.Repository.
func (c Collections) Replace(ctx context.Context, next collection.Collection) (collection.Collection, error) {
	defer c.Changed(ctx, collectionTag(next.ID), publicCollections, visibleScores)
	return c.Repository.Replace(ctx, next)
}

// Remove implements collection.Repository.
func (c Collections) Remove(ctx context.Context, id string, version int64) error {
	defer c.Changed(ctx, collectionTag(id), publicCollections, visibleScores)
	return c.Repository.Remove(ctx, id, version)
}

// Feature implements collection.Repository.
func (c Collections) Feature(ctx context.Context, id string, featured bool) error {
	defer c.Changed(ctx, collectionTag(id), publicCollections)
	return c.Repository.Feature(ctx, id, featured)
}

// AddMember implements collection.Repository.
func (c Collections) AddMember(ctx context.Context, id, scoreID string) error {
	defer c.Changed(ctx, collectionTag(id), visibleScores)
	return c.Repository.AddMember(ctx, id, scoreID)
}

// ChangeMembers implements collection.Repository.
func (c Collections) ChangeMembers(
	ctx context.Context, s scores.Selection, id string, add, remove []string,
) (added, removed int64, err error) {
	defer c.Changed(ctx, collectionTag(id), visibleScores)
	return c.Repository.ChangeMembers(ctx, s, id, add, remove)
}

// RemoveMember implements collection.Repository.
func (c Collections) RemoveMember(ctx context.Context, id, scoreID string) error {
	defer c.Changed(ctx, collectionTag(id), visibleScores)
	return c.Repository.RemoveMember(ctx, id, scoreID)
}

// Share implements collection.Repository.
func (c Collections) Share(ctx context.Context, id, userID string) error {
	defer c.Changed(ctx, collectionTag(id))
	return c.Repository.Share(ctx, id, userID)
}

// Unshare implements collection.Repository.
func (c Collections) Unshare(ctx context.Context, id, userID string) error {
	defer c.Changed(ctx, collectionTag(id))
	return c.Repository.Unshare(ctx, id, userID)
}
