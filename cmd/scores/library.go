package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/collection"
	"github.com/mirubato/mirubato/service/scores/favorite"
	"github.com/mirubato/mirubato/service/scores/note"
	"github.com/mirubato/mirubato/service/scores/store"
)

// readsEvery is how often it is written down which scores were read.
const readsEvery = 10 * time.Second

// newLibrary builds the domain and returns its routes. The function that comes with them ends what the domain does in the
// background: call it when no more requests are served and before the database is closed.
func newLibrary(
	ctx context.Context, cfg Config, db *postgres.DB, log audit.Recorder, logger *slog.Logger,
) (routes []httpapi.Route, end func(), err error) {
	keys, err := encryption.NewKeys(cfg.NotesKeyset, logger, time.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", envNotesKeysetFile, err)
	}
	library := scores.New(store.New(db), uuid.NewString)
	routes = append(routes, scores.Routes(library)...)
	routes = append(routes, favorite.Routes(favorite.New(store.NewFavorites(db), library))...)
	categories := category.New(store.NewCategories(db), library, log, uuid.NewString)
	routes = append(routes, category.Routes(categories)...)
	collections := collection.NewService(store.NewCollections(db), library, log, uuid.NewString)
	routes = append(routes, collection.Routes(collections)...)
	routes = append(routes, note.Routes(note.New(store.NewNotes(db), library, keys))...)

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
	}, nil
}
