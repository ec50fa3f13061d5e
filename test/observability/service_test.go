package observability_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/lib/pq" // the driver
	dto "github.com/prometheus/client_model/go"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// serviceScrape starts the service, asks it for something, takes a table from it, and returns its metrics. It is done once.
func serviceScrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	scrapes.service.Do(func() {
		url := scorestest.URL(t)
		dir := t.TempDir()
		settings, current := filepath.Join(dir, "1.yaml"), filepath.Join(dir, contract.SettingsCurrentFile)
		for file, text := range map[string]string{settings: "logging: {level: info}\n", current: "1"} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		log := start(t, build(t, "scores"), []string{
			"DATABASE_URL=" + url, "JWT_SECRET=a secret of at least thirty-two bytes", "API_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
			contract.EnvSettingsDir + "=" + dir,
		}, "serve")
		line := logged(t, log, "Serving")
		api, operations := fmt.Sprintf("http://%v", line["api"]), fmt.Sprintf("http://%v", line["operations"])
		ask := func(path string) {
			if _, err := get(t.Context(), api+path, http.Header{}); err != nil {
				t.Fatal(err)
			}
		}
		ask("/api/scores")
		db, err := sql.Open("postgres", url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		for _, statement := range []string{
			"INSERT INTO river_job (kind, queue, max_attempts, args) VALUES ('analyse', 'of nobody', 1, '{}')", // waits for ever
			"DROP TABLE scores CASCADE",
		} {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		score := 0
		eventually(t, func() error {
			score++ // another one each time, lest a cache answer
			ask(fmt.Sprintf("/api/scores/00000000-0000-4000-8000-%012d", score))
			text, err := get(t.Context(), operations+contract.MetricsPath, http.Header{})
			if err != nil {
				return err
			}
			if scrapes.ofService, err = parse(text); err != nil {
				return err
			}
			return lacking(scrapes.ofService, "database_errors_total", "jobs_queued", "jobs_oldest_seconds", "database_connections_available")
		})
	})
	if scrapes.ofService == nil {
		t.Fatal("the service was not scraped")
	}
	return scrapes.ofService
}
