package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/cached"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/collection"
	"github.com/mirubato/mirubato/service/scores/favorite"
	"github.com/mirubato/mirubato/service/scores/interchange"
	"github.com/mirubato/mirubato/service/scores/note"
	"github.com/mirubato/mirubato/service/scores/store"
)

// readsEvery is how often it is written down which scores were read.
const readsEvery = 10 * time.Second

// newLibrary builds the domain and returns its routes. The function that comes with them ends what the domain does in the
// background: call it when no more requests are served and before the database is closed.
func newLibrary(
	ctx context.Context, db *postgres.DB, caches cached.Caches, keys *encryption.Keys, log audit.Recorder, logger *slog.Logger,
) (routes []httpapi.Route, end func()) {
	library := scores.New(cached.Scores{Repository: store.New(db), Caches: caches}, uuid.NewString)
	routes = append(routes, scores.Routes(library)...)
	favorites := favorite.New(cached.Favorites{Repository: store.NewFavorites(db), Caches: caches}, library)
	routes = append(routes, favorite.Routes(favorites)...)
	categories := category.New(cached.Categories{Repository: store.NewCategories(db), Caches: caches}, library, log, uuid.NewString)
	routes = append(routes, category.Routes(categories)...)
	collections := collection.NewService(cached.Collections{Repository: store.NewCollections(db), Caches: caches}, library, log, uuid.NewString)
	routes = append(routes, collection.Routes(collections)...)
	routes = append(routes, note.Routes(note.New(store.NewNotes(db), library, keys))...)
	files := cached.Interchange{Repository: store.NewInterchange(db), Caches: caches}
	routes = append(routes, interchange.Routes(interchange.New(files, library, uuid.NewString))...)

	// Counting goes on while the last requests are served, after ctx has ended.
	counting, stop := context.WithCancel(context.WithoutCancel(ctx))
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		library.CountReads(counting, readsEvery, func(err error) { logger.Warn("Counting reads", "error", err.Error()) })
	}()
	return routes, func() {
		stop()
		<-counted
	}
}
