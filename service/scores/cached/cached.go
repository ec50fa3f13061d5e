// Package cached puts caches in front of the stores of the library. It owns what is kept, under which keys and tags, and which
// tags each change ends. Single things are kept for all who ask, and whoever may see one is asked each time, by the domain. Lists are
// kept as they are shown: those that everybody may see for all, and those of scores for each reader, who is part of the key. The lists of
// admins hold everything, so that nearly every change would end them, and are not kept.
//
// The tags are those that the triggers of the schema tell the other processes (migrations cache_events and those after it that have
// events in their names):
//
//	score:ID            a score, and its categories
//	scores:visible      every card that is not private
//	scores:of:OWNER     every private card of an owner
//	categories          the tree of categories
//	collection:ID       a collection, with whom it is shared, and what is in it
//	collections:public  the collections that everybody may list
package cached

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/scores"
)

const (
	visibleScores     = "scores:visible"
	allCategories     = "categories"
	publicCollections = "collections:public"
)

func scoreTag(id string) string         { return "score:" + id }
func privateScores(owner string) string { return "scores:of:" + owner }
func collectionTag(id string) string    { return "collection:" + id }

// cardTag is the tag of the lists that a card may stand in.
func cardTag(s scores.Score) string {
	if s.Visibility == scores.Private {
		return privateScores(s.OwnerID)
	}
	return visibleScores
}

// Caches are what all stores of this package share.
type Caches struct {
	// Entities keeps single things, Lists what everybody, or a reader, may list.
	Entities, Lists *cache.Cache
	// Changed is told the tags of each change once it was made, also if it is not known whether it was. A change of a
	// transaction, which ctx carries, is made when that ends.
	Changed func(ctx context.Context, tags ...string)
}

// list is a list and the number of all that match.
type list[T any] struct {
	Items []T   `json:"items"`
	Total int64 `json:"total"`
}

// listed reads a list under a key made of the name and what is asked for. Together they must hold all that decides what is in it.
func listed[T any](
	ctx context.Context, c Caches, name string, asked any, tags []string, load func(context.Context) (T, error),
) (T, error) {
	text, err := json.Marshal(asked)
	if err != nil {
		var none T
		return none, fmt.Errorf("asking for %s: %w", name, err)
	}
	return cache.Read(ctx, c.Lists, name+" "+string(text), tags, load)
}

// selected reads a list of what the filter selects. The reader stands in the key besides what is asked for, which holds the whole filter:
// JSON makes one of texts that are no UTF-8, and readers must not depend on that.
func selected[T any](
	ctx context.Context, c Caches, name string, f scores.Filter, asked any, load func(context.Context) (T, error),
) (T, error) {
	reader, tags := f.Selection.Reader, []string{visibleScores}
	if f.Selection.Everything {
		return load(ctx)
	}
	if reader != "" {
		tags = append(tags, privateScores(reader))
	}
	return listed(ctx, c, name+" for "+strconv.Quote(reader), asked, tags, load)
}

// isPublic reports whether everybody gets the same of the selection.
func isPublic(s scores.Selection) bool { return s == scores.Selection{} }

// Scores is a scores.Repository with caches in front of it. It may be used by many goroutines.
type Scores struct {
	scores.Repository
	Caches
}

var _ scores.Repository = Scores{}

// Find implements scores.Repository.
func (s Scores) Find(ctx context.Context, id string) (scores.Score, error) {
	return cache.Read(ctx, s.Entities, "score "+id, []string{scoreTag(id)},
		func(ctx context.Context) (scores.Score, error) { return s.Repository.Find(ctx, id) })
}

// List implements scores.Repository.
func (s Scores) List(ctx context.Context, f scores.Filter) ([]scores.Card, int64, error) {
	found, err := selected(ctx, s.Caches, "scores", f, f,
		func(ctx context.Context) (l list[scores.Card], err error) {
			l.Items, l.Total, err = s.Repository.List(ctx, f)
			return l, err
		})
	return found.Items, found.Total, err
}

// Walk implements scores.Repository.
func (s Scores) Walk(ctx context.Context, f scores.Filter, after *scores.Position) ([]scores.Card, error) {
	return selected(ctx, s.Caches, "scores after", f, []any{f, after},
		func(ctx context.Context) ([]scores.Card, error) { return s.Repository.Walk(ctx, f, after) })
}

// Search implements scores.Repository.
func (s Scores) Search(ctx context.Context, text string, f scores.Filter) ([]scores.Card, error) {
	return selected(ctx, s.Caches, "scores with", f, []any{text, f},
		func(ctx context.Context) ([]scores.Card, error) { return s.Repository.Search(ctx, text, f) })
}

// Popular implements scores.Repository.
func (s Scores) Popular(ctx context.Context, limit int) ([]scores.Card, error) {
	return cache.Read(ctx, s.Lists, "popular scores "+strconv.Itoa(limit), []string{visibleScores},
		func(ctx context.Context) ([]scores.Card, error) { return s.Repository.Popular(ctx, limit) })
}

// Insert implements scores.Repository.
func (s Scores) Insert(ctx context.Context, score scores.Score) (scores.Score, error) {
	// Nobody else's lists change by a score that is private from the start.
	defer s.Changed(ctx, scoreTag(score.ID), cardTag(score))
	return s.Repository.Insert(ctx, score)
}

// Replace implements scores.Repository.
func (s Scores) Replace(ctx context.Context, r scores.Replacement) (replaced scores.Score, err error) {
	defer func() {
		// Whoever may not change a score must not end what is kept of it.
		if !errors.Is(err, scores.ErrAbsent) {
			s.changed(ctx, r.ID)
		}
	}()
	return s.Repository.Replace(ctx, r)
}

// Remove implements scores.Repository.
func (s Scores) Remove(ctx context.Context, id string, version int64) error {
	defer s.changed(ctx, id)
	return s.Repository.Remove(ctx, id, version)
}

// ReplaceMany implements scores.Repository.
func (s Scores) ReplaceMany(
	ctx context.Context, owner string, ids []string, given scores.Change, f scores.Fields,
) (int64, error) {
	defer s.changed(ctx, ids...)
	return s.Repository.ReplaceMany(ctx, owner, ids, given, f)
}

// RemoveMany implements scores.Repository.
func (s Scores) RemoveMany(ctx context.Context, owner string, ids []string) (int64, error) {
	defer s.changed(ctx, ids...)
	return s.Repository.RemoveMany(ctx, owner, ids)
}

// changed says that scores were changed, which may have been, or become, visible. That ends the lists of all readers, the owner's among
// them, since all carry the tag.
func (s Scores) changed(ctx context.Context, ids ...string) {
	tags := []string{visibleScores}
	for _, id := range ids {
		tags = append(tags, scoreTag(id))
	}
	s.Changed(ctx, tags...)
}
