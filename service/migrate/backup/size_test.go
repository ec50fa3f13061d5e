package backup

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/test/results"
)

var gigabyte = flag.Bool("gigabyte", false, "back up a database of a gigabyte, with figures for `make results`")

// fillGigabyte makes rows that do not compress to nothing.
func fillGigabyte(t *testing.T, databaseURL string) (bytes int64) {
	t.Helper()
	mustExec(t, databaseURL, "CREATE TABLE works (id bigint PRIMARY KEY, title text NOT NULL, notes text NOT NULL)")
	for part := range 10 {
		mustExec(t, databaseURL, `INSERT INTO works SELECT n, 'Étude ' || n, (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 12) AS i)
			FROM generate_series(`+strconv.Itoa(part*200_000+1)+`, `+strconv.Itoa((part+1)*200_000)+`) AS n`)
	}
	mustExec(t, databaseURL, "CREATE INDEX works_by_title ON works (title)")
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT pg_database_size(current_database())").Scan(&bytes); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestBackupOfAGigabyte measures; that backups are right is the business of the others.
func TestBackupOfAGigabyte(t *testing.T) {
	if !*gigabyte {
		t.Skip("takes minutes and gigabytes; run it with -gigabyte")
	}
	databaseURL := pgserver.Database(t)
	bytes := fillGigabyte(t, databaseURL)
	cfg := config(t, databaseURL)
	stop, peak := watchMemory(t)
	started := time.Now()
	report, err := Run(t.Context(), cfg)
	took := time.Since(started)
	stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []results.Figure{
		{Name: "backup of a large database, its size", Value: float64(bytes / 1e6), Unit: "MB", Bound: ">= 1000"},
		{Name: "backup of a large database, size of the dump", Value: float64(report.Size / 1e6), Unit: "MB"},
		{Name: "backup of a large database, hashing and dumping", Value: report.DumpDuration.Seconds(), Unit: "s"},
		{Name: "backup of a large database, restoring and comparing", Value: report.VerifyDuration.Seconds(), Unit: "s"},
		{Name: "backup of a large database, all of it", Value: took.Seconds(), Unit: "s"},
		{Name: "backup of a large database, memory with all programs", Value: float64(*peak / 1e6), Unit: "MB", Bound: "< 512"},
	} {
		f.Command = "make backup-gigabyte"
		results.Record(t, f)
		if f.Missed() {
			t.Errorf("%s: %v %s, want %s", f.Name, f.Value, f.Unit, f.Bound)
		}
	}
}

// watchMemory keeps the highest sum of the memory of this process and of the programs and servers that it starts from now on, until stop is
// called. Shared pages count once.
func watchMemory(t *testing.T) (stop func(), peak *int64) {
	t.Helper()
	before := children(os.Getpid())
	peak = new(int64)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				sum := proportionalBytes(os.Getpid())
				for _, pid := range children(os.Getpid()) {
					if !slices.Contains(before, pid) {
						sum += familyBytes(pid)
					}
				}
				*peak = max(*peak, sum)
			}
		}
	}()
	return func() { close(end); <-ended }, peak
}

func familyBytes(pid int) int64 {
	sum := proportionalBytes(pid)
	for _, child := range children(pid) {
		sum += familyBytes(child)
	}
	return sum
}

// children and proportionalBytes find nothing of a process that has ended meanwhile.
func children(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		content, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(content)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

func proportionalBytes(pid int) int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
