package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/edge"
	"github.com/mirubato/mirubato/service/chassis/invalidation"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	live "github.com/mirubato/mirubato/service/chassis/settings"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
	"github.com/mirubato/mirubato/service/scores/cached"
)

// caching are the caches of the process and what keeps them true.
type caching struct {
	all     cache.Collector
	answers *edge.Answers
	stores  cached.Caches
	feed    *invalidation.Feed
}

// feedConns is how many connections the news of changes take beside the pool: one to read, one to tell.
const feedConns = 2

// ownListener is the connection that notifications come over.
const ownListener = 1

// openCaching starts the caches, which follow the settings. The function that comes with them ends what they do in the background: call it
// when no more requests are served.
func openCaching(
	ctx context.Context, cfg Config, current *live.Live, metrics *telemetry.Metrics, logger *slog.Logger,
) (*caching, func(), error) {
	db, err := postgres.Open(postgres.Config{
		URL: cfg.DatabaseURL, ApplicationName: serviceName + " cache", MaxConns: feedConns, Observer: metrics, Logger: logger,
		StatementTimeout: statementTimeout(current.Current().Resilience),
	})
	if err != nil {
		return nil, nil, err
	}
	validity := cache.NewValidity(time.Now, invalidation.Patience)
	c := &caching{feed: invalidation.New(invalidation.Config{DB: db, Validity: validity, Logger: logger, Now: time.Now})}
	wanted := layersOf(*current.Current())
	for _, name := range []string{"application", "query", "edge"} {
		made, err := cache.New(cache.Config{ //nolint:contextcheck // what a cache does in the background ends with Close
			Name: name, Settings: wanted[name], Validity: validity, LoadTimeout: requestTimeout(current), Now: time.Now,
		})
		if err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		c.all = append(c.all, made)
	}
	c.stores = cached.Caches{Entities: c.all[0], Lists: c.all[1], Changed: c.feed.Changed}
	c.answers = edge.New(c.all[2])
	current.Subscribe(func(s settings.Settings) { c.configure(s, logger) }) //nolint:contextcheck // as above
	metrics.Register(c.all)
	metrics.Register(c.feed)

	// Changes are told and heard of while the last requests are served, after ctx has ended.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.feed.Run(running)
	}()
	return c, func() {
		stop()
		<-ended
		for _, made := range c.all {
			made.Close()
		}
		if err := db.Close(); err != nil {
			logger.Warn("Closing", "error", err.Error())
		}
	}, nil
}

func (c *caching) configure(s settings.Settings, logger *slog.Logger) {
	wanted := layersOf(s)
	for _, made := range c.all {
		if err := made.Configure(wanted[made.Name()]); err != nil { // it was validated, so there is no memory
			logger.Error("Changing a cache", "cache", made.Name(), "error", err.Error())
		}
	}
	c.answers.Configure(s.Cache.Browser.MaxAge.Std(), wanted["edge"])
}

// layersOf are the settings of the caches by their names.
func layersOf(s settings.Settings) map[string]cache.Settings {
	of := func(l *settings.CacheLayer) cache.Settings {
		return cache.Settings{
			MiB: int(*l.SizeMiB), TTL: l.TTL.Std(),
			StaleWhileRevalidate: l.StaleWhileRevalidate.Std(), StaleIfError: l.StaleIfError.Std(),
		}
	}
	return map[string]cache.Settings{
		"application": of(s.Cache.Application), "query": of(s.Cache.Query), "edge": of(s.Cache.Edge),
	}
}
