package chassis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/health"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/openapi"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/chassis/server"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
	"github.com/mirubato/mirubato/service/chassis/validation"
)

// This file is a whole service: a list of songs that people add to. docs/new-service.md explains it.

// songMigrations are the schema. A real service embeds a directory of files.
var songMigrations = fstest.MapFS{"00001_songs.sql": {Data: []byte(`-- mirubato:phase expand
-- +goose Up
create table songs (
    id       uuid   primary key,
    owner_id text   not null,
    title    text   not null check (char_length(title) between 1 and 100),
    version  bigint not null default 1
);
`)}}

// Song is one song.
type Song struct {
	ID      string `json:"id"`
	OwnerID string `json:"ownerId"`
	NewSong
	Version int64 `json:"version"`
}

// NewSong is what somebody says of a song.
type NewSong struct {
	Title string `json:"title" validate:"required,max=100,line"`
}

// Songs are the operations, and the SQL below them.
type Songs struct {
	rules        *validation.Validator
	insert, find *postgres.Statement
}

func newSongs(db *postgres.DB) *Songs {
	return &Songs{
		rules: validation.New(),
		insert: db.Prepared("songs.insert", `insert into songs (id, owner_id, title) values ($1, $2, $3)
			on conflict (id) do update set id = excluded.id returning version`),
		find: db.Prepared("songs.find", `select id, owner_id, title, version from songs where id = $1 and owner_id = $2`),
	}
}

// Add adds a song that belongs to the caller.
func (s *Songs) Add(ctx context.Context, caller auth.Identity, n NewSong) (Song, error) {
	if details := s.rules.Check(n); len(details) > 0 {
		return Song{}, fault.InvalidInput("Validation failed", details...)
	}
	song := Song{ID: uuid.NewString(), OwnerID: caller.ID, NewSong: n}
	err := s.insert.QueryRow(ctx, []any{&song.Version}, song.ID, song.OwnerID, song.Title)
	return song, err
}

// Get returns a song of the caller's. A song of somebody else does not exist.
func (s *Songs) Get(ctx context.Context, caller auth.Identity, id string) (Song, error) {
	var song Song
	err := s.find.QueryRow(ctx, []any{&song.ID, &song.OwnerID, &song.Title, &song.Version}, id, caller.ID)
	if errors.Is(err, postgres.ErrNoRows) {
		return Song{}, fault.New(fault.NotFound, "Song not found")
	}
	return song, err
}

type songParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

func decodeSongID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if uuid.Validate(id) != nil {
		return "", fault.InvalidInput("Invalid route parameters", fault.Detail{Field: "id", Code: "uuid", Message: "must be a UUID"})
	}
	return id, nil
}

// songRoutes are the API. Handlers and document are both made of them.
func songRoutes(s *Songs) []httpapi.Route {
	return []httpapi.Route{
		{
			Method: http.MethodPost, Path: "/api/songs", Access: httpapi.Callers,
			Name: "addSong", Group: "Songs", Summary: "Add a song",
			Request: NewSong{}, Status: http.StatusCreated, Response: httpapi.Envelope[Song]{}, Versioned: true,
			Handler: httpapi.Handle(httpapi.DecodeJSON[NewSong],
				func(ctx context.Context, n NewSong) (Song, error) { return s.Add(ctx, auth.FromContext(ctx), n) },
				func(added Song) httpapi.Response {
					return httpapi.Created("/api/songs/"+added.ID, added).WithVersion(added.Version)
				}),
		},
		{
			Method: http.MethodGet, Path: "/api/songs/{id}", Access: httpapi.Callers,
			Name: "getSong", Group: "Songs", Summary: "Read a song",
			Params: songParams{}, Status: http.StatusOK, Response: httpapi.Envelope[Song]{}, Versioned: true,
			Faults: []fault.Code{fault.NotFound},
			Handler: httpapi.Handle(decodeSongID,
				func(ctx context.Context, id string) (Song, error) { return s.Get(ctx, auth.FromContext(ctx), id) },
				func(found Song) httpapi.Response { return httpapi.OK(found).WithVersion(found.Version) }),
		},
	}
}

// songConfig is what the service must be told.
type songConfig struct {
	Database, Signing secret.Source
	Logger            *slog.Logger
}

// songService is the wiring: each block builds one thing out of those above it. around is put around the API's
// handler; the tests check there what passes.
func songService(
	ctx context.Context, cfg songConfig, around func([]httpapi.Route, http.Handler) http.Handler,
) (*server.Server, func() error, error) {
	// What the process shows of itself.
	info := telemetry.Info{Service: "songs", Version: "1.0.0", Environment: "example", Release: "songs-1"}
	metrics := telemetry.NewMetrics(info)

	// The database. It may be away.
	db, err := postgres.Open(postgres.Config{
		URL: cfg.Database, ApplicationName: info.Service, MaxConns: 4, Observer: metrics, StatementTimeout: 4 * time.Second,
	})
	if err != nil {
		return nil, nil, err
	}

	// Who calls.
	keys, err := auth.NewKeys(cfg.Signing, secret.Source{}, cfg.Logger, time.Now)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	verifier := auth.NewVerifier(keys, auth.Policy{})

	// How it is.
	reporter := health.New(health.Config{
		Service: info.Service, Version: info.Version, Environment: info.Environment, Release: info.Release,
		Checks: []health.Check{{Name: "database", Run: func(ctx context.Context) error {
			version, err := db.SchemaVersion(ctx)
			if err == nil && version < 1 {
				err = health.Problem("the schema is too old", nil)
			}
			return err
		}}},
		FreshFor: time.Second, Timeout: time.Second, Logger: cfg.Logger, Now: time.Now,
	})

	// What is served.
	api, operations := httpapi.NewRouter(), httpapi.NewRouter()
	api.Mount(verifier, reporter.Routes())
	api.Mount(verifier, songRoutes(newSongs(db)))
	api.Mount(verifier, openapi.Routes(openapi.Info{Title: "Songs", Version: info.Version}, api.Routes))
	operations.Mount(httpapi.OpenGuard{}, reporter.Routes())
	operations.Handle("GET /metrics", metrics.Handler())
	options := httpapi.Options{
		Logger: cfg.Logger, Observer: metrics, Synthetic: metrics.Synthetic(), Release: info.Release, RequestTimeout: httpapi.Fixed(5 * time.Second), MaxBody: 1 << 20,
		Draining: reporter.Draining, WriteTimeout: server.WriteTimeout(5 * time.Second),
	}
	srv, err := server.Listen(ctx, server.Config{
		APIAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0",
		API:            around(api.Routes(), httpapi.Middleware(options, api)),
		Ops:            httpapi.Middleware(options, operations),
		RequestTimeout: options.RequestTimeout(), ShutdownTimeout: 5 * time.Second, Drain: reporter.Drain, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("songs: %w", err), db.Close())
	}
	return srv, db.Close, nil
}
