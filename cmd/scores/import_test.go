package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/scores/interchange"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// manyLines is a file too long to be done while its client waits. Its lines have no IDs, so that doing one twice makes two scores. Every hundredth
// is refused, by a name that PostgreSQL could not hold.
func manyLines(count int) string {
	var b strings.Builder
	for n := range count {
		if n%100 == 99 {
			b.WriteString(`{"title":"a","\u0000":1}` + "\n")
			continue
		}
		fmt.Fprintf(&b, `{"title":"Study No. %d"}`+"\n", n+1)
	}
	return b.String()
}

// importPatience is how long a test waits for an import, on a machine that does much else.
const importPatience = 4 * time.Minute

// importTask is what is asked of the task of an import.
type importTask struct {
	Data struct {
		State, Reason string
		Progress      int
		Result        interchange.Report
	}
}

// importLater sends a file that is done later, and returns its task.
func (l *library) importLater(t testing.TB, file, mediaType string) string {
	t.Helper()
	r := l.as(t, alice, http.MethodPost, "/api/scores/import", file, "Content-Type", mediaType)
	a := decoded[accepted](t, r)
	if r.status != http.StatusAccepted || a.TaskID == "" || r.header.Get("Location") != "/api/tasks/"+a.TaskID || a.Data.Size != int64(len(file)) {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	return a.TaskID
}

// imported waits for the end of an import and holds its report and the library to what a file of so many lines does once.
func (l *library) imported(t testing.TB, taskID string, lines int) {
	t.Helper()
	var got importTask
	for deadline := time.Now().Add(importPatience); got.Data.State != "completed"; time.Sleep(20 * time.Millisecond) {
		got = decoded[importTask](t, l.as(t, alice, http.MethodGet, "/api/tasks/"+taskID, ""))
		if got.Data.State == "failed" || time.Now().After(deadline) {
			t.Fatalf("the task is %+v", got.Data)
		}
	}
	refused := lines / 100
	if diff := cmp.Diff(interchange.Counts{Created: lines - refused, Refused: refused}, got.Data.Result.Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if told := got.Data.Result.Lines; len(told) != refused || told[1].Line != 200 || told[1].Details[0].Code != "unknown_field" {
		t.Errorf("the report tells of %d lines: %+v", len(told), told[:min(len(told), 2)])
	}
	if n := count(t, l.database, `select count(distinct title) from scores`); n != lines-refused {
		t.Errorf("%d different scores are there", n)
	}
	if n := count(t, l.database, `select count(*) from scores`); n != lines-refused {
		t.Errorf("%d scores are there", n)
	}
}

// counted returns what asks the database for a number, again if it has no time at the moment.
func counted(t testing.TB, database, query string) func() int {
	t.Helper()
	statement := scorestest.Open(t, database).Direct("test.count", query)
	return func() (n int) {
		t.Helper()
		for deadline := time.Now().Add(importPatience); ; time.Sleep(20 * time.Millisecond) {
			err := statement.QueryRow(t.Context(), []any{&n})
			if err == nil {
				return n
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
}

func count(t testing.TB, database, query string) int {
	t.Helper()
	return counted(t, database, query)()
}

func TestLargeImportsAreDoneLater(t *testing.T) {
	const lines = 1200
	l, dir := openWithFiles(t, nil)
	taskID := l.importLater(t, manyLines(lines), "application/x-ndjson")
	if r := l.as(t, bob, http.MethodGet, "/api/tasks/"+taskID, ""); r.status != http.StatusNotFound {
		t.Errorf("another's task: %d", r.status)
	}
	l.imported(t, taskID, lines)
	if n := count(t, l.database, `select (select count(*) from score_imports) + (select count(*) from score_import_refusals)`); n != 0 {
		t.Errorf("%d rows are left of it", n)
	}
	sweepNow(t, l.database, dir)
	if n := filesIn(t, dir); n != 0 {
		t.Errorf("%d files are left of it", n)
	}
}

// TestFilesThatWaitToBeImportedAreBounded: they are nobody's quota, so that whoever sends faster than they are done would fill the storage.
func TestFilesThatWaitToBeImportedAreBounded(t *testing.T) {
	l, _ := openWithFiles(t, nil)
	runSQL(t, l.database, fmt.Sprintf(`insert into blobs (sha256, size) values (sha256('a'), 1);
		insert into score_imports (id, owner_id, format, size, sha256) values (gen_random_uuid(), '%s', 'csv', %d, sha256('a'))`, alice.ID, 4*interchange.MaxFile))
	file := manyLines(1200)
	l.as(t, alice, http.MethodPost, "/api/scores/import", file, "Content-Type", "application/x-ndjson").is(t, http.StatusConflict, "CONFLICT")
	if n := count(t, l.database, `select count(*) from score_imports`); n != 1 {
		t.Errorf("%d imports are kept", n)
	}
	if r := l.as(t, bob, http.MethodPost, "/api/scores/import", file, "Content-Type", "application/x-ndjson"); r.status != http.StatusAccepted {
		t.Errorf("another's file: %d %s", r.status, r.body)
	}
}

// sweepNow removes files to which nobody refers, however new they are.
func sweepNow(t testing.TB, database, dir string) {
	t.Helper()
	bucket, err := objects.Open(t.Context(), dir, objects.Once)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	store := blob.New(blob.Config{Bucket: bucket, DB: scorestest.Open(t, database), Protection: once{}, Referrers: referrers()})
	if _, err := store.Sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
}

func TestLargeImportsThatCannotBeDone(t *testing.T) {
	l, dir := openWithFiles(t, nil)
	padding := strings.Repeat("\n", 2000)
	for name, tc := range map[string]struct {
		file, mediaType string
		status          int
	}{
		"a table without a head":      {"title,tilte\n" + strings.Repeat("a,b\n", 2000), "text/csv", http.StatusBadRequest},
		"larger than any file":        {strings.Repeat(" ", interchange.MaxFile+1), "application/x-ndjson", http.StatusRequestEntityTooLarge},
		"of a kind that is not known": {padding, "application/json", http.StatusUnsupportedMediaType},
	} {
		t.Run(name, func(t *testing.T) {
			if r := l.as(t, alice, http.MethodPost, "/api/scores/import", tc.file, "Content-Type", tc.mediaType); r.status != tc.status {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	if n := filesIn(t, dir); n != 0 {
		t.Errorf("%d files are stored", n)
	}
	t.Run("without a score", func(t *testing.T) {
		for mediaType, head := range map[string]string{"application/jsonl": "", "text/csv; charset=utf-8": "title,composer\n"} {
			if got := l.awaitTask(t, alice, l.importLater(t, head+padding, mediaType), "failed"); got.Data.Reason != "The file holds no scores" {
				t.Errorf("%s: %+v", mediaType, got.Data)
			}
		}
		if n := count(t, l.database, `select count(*) from score_imports`); n != 0 {
			t.Errorf("%d files are kept that nobody can use", n)
		}
	})
}

// Where there is no storage, large files are done while their client waits.
func TestLargeImportsWithoutAStorage(t *testing.T) {
	l := open(t, func(c *Config) { c.RequestTimeout = time.Minute })
	r := l.as(t, alice, http.MethodPost, "/api/scores/import", manyLines(1100), "Content-Type", "application/x-ndjson")
	got := decoded[struct{ Data interchange.Report }](t, r).Data
	if r.status != http.StatusOK || got.Created != 1089 || got.Refused != 11 || len(got.Lines) != 11 {
		t.Errorf("%d %+v", r.status, got.Counts)
	}
}

// Processes are killed while they import; what they have done is neither lost nor done again.
func TestKilledProcessesImportEachLineOnce(t *testing.T) {
	const lines, kills = 3000, 3
	url, dir := scorestest.URL(t), filepath.Join(t.TempDir(), "files")
	start := func() *running { return startProcess(t, "DATABASE_URL="+url, "STORAGE="+dir, "JOB_PATIENCE=1s") }
	l := &library{cfg: testConfig(url), database: url, http: http.DefaultClient}
	process := start()
	l.api = process.api
	taskID := l.importLater(t, manyLines(lines), "application/x-ndjson")
	killed, seen, done := 0, 0, counted(t, url, `select coalesce(max(done), -1) from score_imports`)
	for ; killed < kills; killed++ {
		for before := seen; seen == before; time.Sleep(5 * time.Millisecond) {
			seen = done()
		}
		if seen < 0 {
			break // it is done already
		}
		_ = process.cmd.Process.Kill()
		_ = process.cmd.Wait()
		process = start()
		l.api = process.api
	}
	l.imported(t, taskID, lines)
	if killed == 0 {
		t.Error("nothing was killed, so nothing was proved")
	}
	t.Logf("%d kills", killed)
}

// A process that was only slow to tell that it lives goes on beside the one that took its job over.
func TestTwoProcessesImportEachLineOnce(t *testing.T) {
	const lines = 3000
	dir, url := filepath.Join(t.TempDir(), "files"), scorestest.URL(t)
	change := func(c *Config) { c.Storage, c.JobWorkers = dir, 1 }
	l := run(t, url, change)
	_ = run(t, url, change)
	taskID := l.importLater(t, manyLines(lines), "application/x-ndjson")
	attempts := counted(t, url, `with given as (
		update river_job set state = 'available' where kind = 'import_scores' and state = 'running'
			and exists (select from score_imports where done > 0) returning attempt)
	select coalesce(max(attempt), 0) from given`)
	for deadline := time.Now().Add(importPatience); attempts() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody does the import")
		}
	}
	l.imported(t, taskID, lines)
	if n := count(t, url, `select attempt from river_job where kind = 'import_scores'`); n < 2 {
		t.Errorf("it was tried %d times, so nothing was proved", n)
	}
}
