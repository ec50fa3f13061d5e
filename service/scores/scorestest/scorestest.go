// Package scorestest gives tests a library with a real database under it. Its TestMain must call pgserver.Run.
package scorestest

import (
	"context"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/scores/migrations"
)

// URL returns the URL of a fresh database with the schema of this release. The database is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	return pgserver.Filled(t, "scores", func(ctx context.Context, url string) error {
		_, err := migrate.Up(ctx, migrate.Config{DatabaseURL: url, Files: migrations.Files})
		return err
	})
}

// Open returns a pool on the database at url, which is closed when the test ends.
func Open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromValue(url), ApplicationName: "test", StatementTimeout: 5 * time.Second, MaxConns: 4, Observer: unobserved{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// unobserved measures nothing.
type unobserved struct{}

func (unobserved) ObserveQuery(string, time.Duration, error) {}
