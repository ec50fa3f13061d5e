package backup

import (
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
)

func TestRestoreIntoANewDatabase(t *testing.T) {
	cfg := config(t, pgserver.Filled(t, "everything", fill))
	made, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	again := RestoreConfig{
		DatabaseURL: cfg.DatabaseURL, Location: cfg.Location, Name: made.Name, Database: strings.TrimPrefix(u.Path, "/") + "_restored",
		Log: slog.New(slog.DiscardHandler),
	}
	t.Cleanup(func() { mustExec(t, cfg.DatabaseURL, "DROP DATABASE IF EXISTS "+again.Database) })
	path := filepath.Join(cfg.Location, made.Name, dumpFile)
	dump, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, dump...)
	damaged[len(damaged)/2] ^= 1
	for _, content := range [][]byte{damaged, dump} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := Restore(t.Context(), again)
		if &content[0] == &damaged[0] {
			mustFail(t, err, contract.BackupDiffers, "the dump is damaged")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	mustFail(t, Restore(t.Context(), again), contract.TargetExists, again.Database+" is there already")
	access, err := migrate.ParseAccess(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readContent(t.Context(), access.WithDatabase(again.Database))
	if differ := tableDifferences(made.Tables, got.tables); err != nil || len(differ) > 0 {
		t.Errorf("differences %v, error %v", differ, err)
	}
	missing := again
	missing.Database, missing.Name = "other", "20260101T000000Z-aaaaaaaa"
	mustFail(t, Restore(t.Context(), missing), contract.BackupFailed, "there is no backup")
}
