package pgserver

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/lib/pq"
)

// envChild makes the test binary run a server in the directory it names, print its URL and wait to be killed.
const envChild = "PGSERVER_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envChild); dir != "" {
		s, err := Start(context.Background(), Config{Dir: dir, Durable: true})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.URL("postgres"))
		<-s.Done()
		os.Exit(1)
	}
	os.Exit(Run(m))
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func query[T any](t *testing.T, url, query string) T {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got T
	if err := db.QueryRowContext(t.Context(), query).Scan(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

// closedDir is a directory below one that only we may enter, as /root is.
func closedDir(t *testing.T) string {
	t.Helper()
	parent := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(parent, "server")
}

func TestDatabasesAreFreshAndApart(t *testing.T) {
	a, b := Database(t), Database(t)
	if a == b {
		t.Fatalf("both databases are %s", a)
	}
	query[string](t, a, "CREATE TABLE only_in_a (id int); SELECT 'made'")
	if got := query[int](t, b, "SELECT count(*) FROM pg_tables WHERE tablename = 'only_in_a'"); got != 0 {
		t.Errorf("a table of one database is seen in the other")
	}
}

func TestThrowAwayServerLeavesNothing(t *testing.T) {
	s, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := query[string](t, s.URL("postgres"), "SHOW fsync"); got != "off" {
		t.Errorf("fsync is %s", got)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("Done is not closed after Stop")
	}
	if _, err := os.Stat(s.dir.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
}

func TestDurableServerKeepsData(t *testing.T) {
	dir := closedDir(t)
	s := start(t, Config{Dir: dir, Durable: true})
	if got := query[string](t, s.URL("postgres"), "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	for range 2 {
		if err := s.EnsureDatabase(t.Context(), "kept"); err != nil {
			t.Fatal(err)
		}
	}
	query[string](t, s.URL("kept"), "CREATE TABLE works (title text); INSERT INTO works VALUES ('Capricho árabe'); SELECT 'made'")
	if _, err := Start(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server in the same directory: %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := start(t, Config{Dir: dir, Durable: true})
	if got := query[string](t, again.URL("kept"), "SELECT title FROM works"); got != "Capricho árabe" {
		t.Errorf("after a restart: %q", got)
	}
}

func TestServerDoesNotOutliveAKilledProcess(t *testing.T) {
	dir := closedDir(t)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), envChild+"="+dir)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "postgres://") {
		t.Fatalf("the child says %q, %v", line, err)
	}
	query[string](t, strings.TrimSpace(line), "CREATE TABLE left_behind (id int); SELECT 'made'")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	// Whether the old server is still shutting down or is gone, the next one takes its place.
	s := start(t, Config{Dir: dir, Durable: true})
	if got := query[int](t, s.URL("postgres"), "SELECT count(*) FROM left_behind"); got != 0 {
		t.Errorf("rows: %d", got)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Start(t.Context(), Config{Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestSweepRemovesOnlyWhatNobodyUses(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{temporaryPrefix + "left", temporaryPrefix + "used", "other"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := lockFile(filepath.Join(parent, temporaryPrefix+"used", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	names := func() (found []string) {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			found = append(found, e.Name())
		}
		return found
	}
	sweep(parent, time.Now().Add(-time.Hour))
	if got := names(); len(got) != 3 {
		t.Errorf("young directories are swept: %v left", got)
	}
	sweep(parent, time.Now().Add(time.Hour))
	want := []string{temporaryPrefix + "used", "other"}
	if diff := cmp.Diff(want, names()); diff != "" {
		t.Errorf("left after the sweep (-want +got):\n%s", diff)
	}
}

func TestFindPrograms(t *testing.T) {
	install := func(t *testing.T, dir string, names ...string) string {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(dir, n), []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for name, tc := range map[string]struct {
		debian   map[string][]string
		onPath   []string
		pgBin    []string
		wantDir  string
		wantErr  bool
		wantKind error
	}{
		"the newest version of several wins": {
			debian:  map[string][]string{"9": {"initdb", "postgres"}, "15": {"initdb", "postgres"}, "10": {"initdb", "postgres"}},
			wantDir: "debian/15/bin",
		},
		"a newer version without a server is passed over": {
			debian:  map[string][]string{"17": {"psql"}, "15": {"initdb", "postgres"}},
			wantDir: "debian/15/bin",
		},
		"a server on PATH comes before Debian's place": {
			debian: map[string][]string{"15": {"initdb", "postgres"}}, onPath: []string{"initdb", "postgres"},
			wantDir: "path",
		},
		"PG_BIN comes before everything": {
			debian: map[string][]string{"15": {"initdb", "postgres"}}, onPath: []string{"initdb", "postgres"}, pgBin: []string{"initdb", "postgres"},
			wantDir: "pgbin",
		},
		"a wrong PG_BIN is an error, not a hint": {
			debian: map[string][]string{"15": {"initdb", "postgres"}}, pgBin: []string{"psql"},
			wantErr: true,
		},
		"nothing anywhere says what to install": {wantErr: true, wantKind: ErrNotInstalled},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for v, files := range tc.debian {
				install(t, filepath.Join(root, "debian", v, "bin"), files...)
			}
			t.Setenv("PATH", install(t, filepath.Join(root, "path"), tc.onPath...))
			t.Setenv(EnvPrograms, "")
			if tc.pgBin != nil {
				t.Setenv(EnvPrograms, install(t, filepath.Join(root, "pgbin"), tc.pgBin...))
			}
			got, err := findPrograms(filepath.Join(root, "debian"))
			if (err != nil) != tc.wantErr || !errors.Is(err, tc.wantKind) && tc.wantKind != nil {
				t.Fatalf("error %v", err)
			}
			want := ""
			if tc.wantDir != "" {
				want = filepath.Join(root, tc.wantDir)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("programs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilledDatabasesAreCopiesOfOne(t *testing.T) {
	filled := 0
	fill := func(ctx context.Context, url string) error {
		if filled++; filled == 1 {
			return errors.New("the first attempt fails")
		}
		db, err := sql.Open("postgres", url)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(ctx, "CREATE TABLE works (title text); INSERT INTO works VALUES ('Capricho árabe')")
		return err
	}
	name := t.Name()
	if _, _, err := shared.next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.template(name).filled(t.Context(), fill); err == nil {
		t.Fatal("a fill that fails is taken for one that worked")
	}
	a, b := Filled(t, name, fill), Filled(t, name, fill)
	if filled != 2 {
		t.Errorf("filled %d times, want once besides the failure", filled)
	}
	query[string](t, a, "DELETE FROM works; SELECT 'done'")
	for _, url := range []string{b, Filled(t, name, fill)} {
		if got := query[string](t, url, "SELECT title FROM works"); got != "Capricho árabe" {
			t.Errorf("%s holds %q", url, got)
		}
	}
}

func TestSocketOnly(t *testing.T) {
	s := start(t, Config{Socket: true})
	const text = "SELECT format('%s, by %s', current_setting('listen_addresses'), coalesce(host(inet_client_addr()), 'socket'))"
	if got := query[string](t, s.URL("postgres"), text); got != ", by socket" {
		t.Errorf("it listens on %s", got)
	}
}
