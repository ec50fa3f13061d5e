package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/cached"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/collection"
	"github.com/mirubato/mirubato/service/scores/favorite"
	"github.com/mirubato/mirubato/service/scores/file"
	"github.com/mirubato/mirubato/service/scores/interchange"
	"github.com/mirubato/mirubato/service/scores/note"
	"github.com/mirubato/mirubato/service/scores/reader"
	"github.com/mirubato/mirubato/service/scores/store"
)

// readsEvery is how often it is written down which scores were read.
const readsEvery = 10 * time.Second

// libraryConfig is what the domain is built on.
type libraryConfig struct {
	cfg      Config
	db       *postgres.DB
	caches   cached.Caches
	noteKeys *encryption.Keys
	signer   file.Signer
	queue    *jobs.Queue
	storage  *blob.Store
	log      audit.Recorder
	logger   *slog.Logger
	// register adds metrics.
	register func(prometheus.Collector)
}

// newLibrary builds the domain and returns its routes. The function that comes with them ends what the domain does in the
// background: call it when no more requests are served and before the database is closed.
func newLibrary(ctx context.Context, c libraryConfig) (routes []httpapi.Route, end func()) {
	db, caches, log := c.db, c.caches, c.log
	kept := store.New(db)
	c.register(kept)
	library := scores.New(cached.Scores{Repository: kept, Caches: caches}, uuid.NewString)
	routes = append(routes, scores.Routes(library)...)
	favorites := favorite.New(cached.Favorites{Repository: store.NewFavorites(db), Caches: caches}, library)
	routes = append(routes, favorite.Routes(favorites)...)
	categories := category.New(cached.Categories{Repository: store.NewCategories(db), Caches: caches}, library, log, uuid.NewString)
	routes = append(routes, category.Routes(categories)...)
	collections := collection.NewService(cached.Collections{Repository: store.NewCollections(db), Caches: caches}, library, log, uuid.NewString)
	routes = append(routes, collection.Routes(collections)...)
	routes = append(routes, note.Routes(note.New(store.NewNotes(db), library, c.noteKeys))...)
	exchange := interchange.New(cached.Interchange{Repository: store.NewInterchange(db), Caches: caches}, library, uuid.NewString)
	routes = append(routes, interchange.Routes(exchange, c.imports(exchange))...)
	routes = append(routes, file.Routes(newFiles(c, library))...)

	// Counting goes on while the last requests are served, after ctx has ended.
	counting, stop := context.WithCancel(context.WithoutCancel(ctx))
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		library.CountReads(counting, readsEvery, func(err error) { c.logger.Warn("Counting reads", "error", err.Error()) })
	}()
	return routes, func() {
		stop()
		<-counted
	}
}

// imports builds what does large imports after they were taken.
func (c libraryConfig) imports(s *interchange.Service) *interchange.Later {
	cfg := interchange.LaterConfig{Service: s, Imports: store.NewImports(c.db), Queue: c.queue}
	if c.storage != nil {
		cfg.Storage = c.storage
	}
	return interchange.NewLater(cfg)
}

const mebibyte = 1 << 20

// newFiles builds what the domain does with files.
func newFiles(c libraryConfig, library *scores.Library) *file.Files {
	cfg := file.Config{
		Repository: cached.Files{Repository: store.NewFiles(c.db), Caches: c.caches}, Scores: library, Queue: c.queue, Signer: c.signer,
		Readers: reader.All(), MaxSize: int64(c.cfg.FileSizeMiB) * mebibyte, Quota: int64(c.cfg.FileQuotaMiB) * mebibyte,
		NewID: uuid.NewString, Now: time.Now,
	}
	if c.storage != nil {
		cfg.Storage = c.storage
	}
	return file.New(cfg)
}
