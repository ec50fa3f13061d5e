package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/accounts"
	accountstore "github.com/mirubato/mirubato/service/accounts/store"
	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/health"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/idempotency"
	"github.com/mirubato/mirubato/service/chassis/invalidation"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/chassis/openapi"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/server"
	live "github.com/mirubato/mirubato/service/chassis/settings"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
	"github.com/mirubato/mirubato/service/chassis/tracing"
	"github.com/mirubato/mirubato/service/scores/migrations"
	"github.com/mirubato/mirubato/service/scores/site"
)

const (
	serviceName = "scores"
	// maxBody is the largest body that is read, in bytes.
	maxBody = 1 << 20
	// Probes ask the database at most twice a second, and wait for it no longer than a kubelet waits for them by default, twice
	// over.
	checkFreshFor = 500 * time.Millisecond
	checkTimeout  = 2 * time.Second
	// tracesPatience is how long the end of the service waits for a collector.
	tracesPatience = 2 * time.Second
)

func newServeCommand(getenv func(string) string) *cobra.Command {
	const areas = process | serving | database | tokens | notes
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API until SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), getenv, areas)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, cmd.OutOrStdout(), func(*server.Server) {})
		},
	}
	addFlags(cmd.Flags(), areas)
	return cmd
}

// serve runs the service until ctx ends. It calls listening once the addresses are bound.
func serve(ctx context.Context, cfg Config, out io.Writer, listening func(*server.Server)) error { //nolint:funlen // one labelled block after the other, in the order in which they depend on each other
	// What the process shows of itself.
	lines := telemetry.NewLines(out)
	defer func() { _ = lines.Flush() }() // if it fails, there is nowhere to tell
	info, metrics, current, logger := observed(cfg, lines)
	go current.Run(ctx)
	traces, endTraces, err := startTraces(ctx, cfg, info, logger)
	if err != nil {
		return err
	}
	defer endTraces()

	// The database, and what protects it and the service itself.
	guards := newProtections(current, cfg.DatabaseConns, metrics, logger)
	db, closeDatabase, err := openDatabase(ctx, cfg, guards, metrics, logger)
	if err != nil {
		return err
	}
	defer closeDatabase()
	go guards.pulse.Run(ctx, db.Ask)
	current.Subscribe(func(s settings.Settings) { db.SetStatementTimeout(statementTimeout(s.Resilience)) })

	// Who calls.
	keys, noteKeys, err := newKeys(cfg, logger)
	if err != nil {
		return err
	}
	verifier := auth.NewVerifier(keys, cfg.Tokens)
	limited, endLimits, err := newLimits(ctx, cfg, current, guards.pulse, metrics, logger)
	if err != nil {
		return err
	}
	defer endLimits()

	// What is served.
	reporter := newReporter(info, db, guards, current.Report, logger)
	log := audit.New(db, uuid.NewString)
	caches, endCaching, err := openCaching(ctx, cfg, current, metrics, logger)
	if err != nil {
		return err
	}
	defer endCaching()
	keepHeadroom(ctx, func() uint64 { return unusedBytes(caches.all) })
	queue, closeQueue, err := openQueue(cfg, db, metrics, logger)
	if err != nil {
		return err
	}
	defer closeQueue()
	storage, closeStorage, err := openStorage(ctx, cfg, db, current, reporter, metrics, logger)
	if err != nil {
		return err
	}
	defer closeStorage()
	library, endLibrary := newLibrary(ctx, libraryConfig{
		cfg: cfg, db: db, caches: caches.stores, noteKeys: noteKeys, signer: keys, queue: queue, storage: storage, log: log, logger: logger,
		register: metrics.Register,
	})
	defer endLibrary()
	users := accounts.New(accountstore.New(db), auth.NewIssuer(keys, cfg.Tokens), log, uuid.NewString, tokenLives(current))
	keysOfWrites := idempotency.New(db, requestTimeout(current), logger)
	api := apiRoutes(verifier, []httpapi.Wrapper{limited.Wrap, caches.answers.Wrap, keysOfWrites.Wrap},
		reporter.Routes(), reporter.AdminRoutes(), library, accounts.Routes(users), log.Routes(),
		invalidation.Routes(caches.feed, caches.all, log), queue.Routes(), jobs.NewAdministration(queue, log).Routes(), site.Routes())
	options := optionsOf(cfg, current, reporter, metrics, logger)
	srv, err := listen(ctx, cfg, reporter, logger,
		httpapi.Middleware(options, limited.Addresses(guards.shedding.Handler(traces.Handler(api)))),
		httpapi.Middleware(options, opsRoutes(reporter, metrics, current)))
	if err != nil {
		return err
	}

	// What is done without being asked for.
	sweepFilesByQueue(queue, storage, logger)
	sweepByQueue(queue, map[string]func(context.Context) error{
		"refresh_tokens": users.Sweep, "idempotency_keys": keysOfWrites.Sweep, "cache_events": caches.feed.Sweep,
		"rate_limits": limited.fleet.Sweep, "tasks": queue.SweepTasks,
	})
	defer runQueue(ctx, queue)()
	listening(srv)
	return srv.Run(ctx)
}

// observed returns the metrics, the settings and the log of the process, which depend on each other.
func observed(cfg Config, out io.Writer) (telemetry.Info, *telemetry.Metrics, *live.Live, *slog.Logger) {
	info := telemetry.Info{
		Service: serviceName, Version: buildVersion(), Environment: cfg.Environment, Release: cfg.Release,
	}
	var level slog.LevelVar
	level.Set(cfg.LogLevel)
	logger := telemetry.NewLogger(out, &level, info)
	metrics := telemetry.NewMetrics(info)
	return info, metrics, openSettings(cfg, &level, metrics, logger), logger
}

// startTraces returns tracing and a function that sends what is left when the service ends.
func startTraces(
	ctx context.Context, cfg Config, info telemetry.Info, logger *slog.Logger,
) (*tracing.Tracing, func(), error) {
	traces, err := tracing.Start(ctx, cfg.Traces, info)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", envTraces, err)
	}
	return traces, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesPatience)
		defer cancel()
		if err := traces.Stop(ctx); err != nil {
			logger.WarnContext(ctx, "Sending the last traces", "error", err.Error())
		}
	}, nil
}

// newKeys returns the keys that sign tokens and those that encrypt notes.
func newKeys(cfg Config, logger *slog.Logger) (*auth.Keys, *encryption.Keys, error) {
	tokens, err := auth.NewKeys(cfg.JWTSecret, cfg.JWTPrevious, logger, time.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", contract.EnvJWTSecretFile, err)
	}
	notes, err := encryption.NewKeys(cfg.NotesKeyset, logger, time.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", envNotesKeysetFile, err)
	}
	return tokens, notes, nil
}

// listen binds the addresses of the API and of operations.
func listen(
	ctx context.Context, cfg Config, reporter *health.Reporter, logger *slog.Logger, api, ops http.Handler,
) (*server.Server, error) {
	return server.Listen(ctx, server.Config{
		APIAddr: cfg.APIAddr, OpsAddr: cfg.OpsAddr, API: api, Ops: ops,
		RequestTimeout: cfg.RequestTimeout, DrainDelay: cfg.DrainDelay, ShutdownTimeout: cfg.ShutdownTimeout,
		Drain: reporter.Drain, Logger: logger,
	})
}

// openDatabase returns the pool and a function that closes it. The database may be away: the service then starts, is not ready, and
// recovers by itself.
func openDatabase(
	ctx context.Context, cfg Config, guards protections, metrics *telemetry.Metrics, logger *slog.Logger,
) (*postgres.DB, func(), error) {
	db, err := postgres.Open(postgres.Config{
		URL: cfg.DatabaseURL, ApplicationName: serviceName, MaxConns: cfg.DatabaseConns, Observer: metrics, Logger: logger,
		StatementTimeout: cfg.RequestTimeout, Reads: guards.reads, Writes: guards.writes,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", contract.EnvDatabaseURLFile, err)
	}
	metrics.WatchPool("main", db.Pool())
	connections := &capacity{conns: connectionsOf(cfg), ask: db.Available}
	metrics.Register(connections)
	asking, stop := context.WithCancel(context.WithoutCancel(ctx)) // the metrics are there while the last requests are served
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		connections.run(asking)
	}()
	return db, func() {
		stop()
		<-ended
		if err := db.Close(); err != nil {
			logger.Warn("Closing", "error", err.Error())
		}
	}, nil
}

func newReporter(
	info telemetry.Info, db *postgres.DB, guards protections, inForce func() contract.SettingsReport, logger *slog.Logger,
) *health.Reporter {
	reporter := health.New(health.Config{
		Service: info.Service, Version: info.Version, Environment: info.Environment, Release: info.Release,
		Checks:   []health.Check{{Name: "database", Run: checkDatabase(db, migrations.MinimumVersion)}},
		Settings: inForce, FreshFor: checkFreshFor, Timeout: checkTimeout, Logger: logger, Now: time.Now,
	})
	guards.report(reporter)
	return reporter
}

// optionsOf say how every request is treated.
func optionsOf(
	cfg Config, current *live.Live, reporter *health.Reporter, metrics *telemetry.Metrics, logger *slog.Logger,
) httpapi.Options {
	return httpapi.Options{
		Logger: logger, Observer: metrics, Synthetic: metrics.Synthetic(), Release: cfg.Release, RequestTimeout: requestTimeout(current), MaxBody: maxBody,
		CORS: whosePages(current), Draining: reporter.Draining, WriteTimeout: server.WriteTimeout(cfg.RequestTimeout),
	}
}

// checkDatabase says whether the database answers and its schema is new enough.
func checkDatabase(db *postgres.DB, minimum int64) func(context.Context) error {
	return func(ctx context.Context) error {
		version, err := db.SchemaVersion(ctx)
		if err != nil {
			return health.Problem("the database does not answer", err)
		}
		if version < minimum {
			return health.Problem("the database schema is older than this release needs",
				fmt.Errorf("version %d, need %d", version, minimum))
		}
		return nil
	}
}

// apiRoutes is the API: the routes of each domain, and the document that describes them all.
func apiRoutes(guard httpapi.Guard, wrappers []httpapi.Wrapper, domains ...[]httpapi.Route) http.Handler {
	router := httpapi.NewRouter()
	for _, routes := range domains {
		router.Mount(guard, routes, wrappers...)
	}
	router.Mount(guard, openapi.Routes(openapi.Info{
		Title: "Scores", Description: "A sheet-music library.", Version: buildVersion(), IdempotencyKeys: true,
	}, router.Routes), wrappers...)
	return router
}

func opsRoutes(reporter *health.Reporter, metrics *telemetry.Metrics, current *live.Live) http.Handler {
	router := httpapi.NewRouter()
	router.Mount(httpapi.OpenGuard{}, slices.Concat(reporter.Routes(), current.Routes()))
	router.Handle("GET "+contract.MetricsPath, metrics.Handler())
	return router
}
