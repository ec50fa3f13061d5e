package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/chassis/objects/s3server"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// direct makes each call once.
type direct struct{}

func (direct) Do(ctx context.Context, _ bool, call func(context.Context) error) error {
	return call(ctx)
}

// world is a store in a directory with a table that refers to its contents.
type world struct {
	*blob.Store
	db  *postgres.DB
	dir string
	ref *postgres.Statement
}

func newWorld(t *testing.T, wrap func(objects.Bucket) objects.Bucket) *world {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	return newWorldAt(t, dir, dir, wrap)
}

// everywhere runs a test on each kind of storage.
func everywhere(t *testing.T, test func(t *testing.T, open func(*testing.T) *world)) {
	t.Helper()
	t.Run("in a directory", func(t *testing.T) {
		test(t, func(t *testing.T) *world {
			t.Helper()
			return newWorld(t, nil)
		})
	})
	t.Run("in a bucket", func(t *testing.T) {
		test(t, func(t *testing.T) *world {
			t.Helper()
			server := s3server.Start(t)
			return newWorldAt(t, server.URL(), server.Dir(), nil)
		})
	})
}

// newWorldAt is a world whose objects are the files of a directory.
func newWorldAt(t *testing.T, where, dir string, wrap func(objects.Bucket) objects.Bucket) *world {
	t.Helper()
	w := &world{db: scorestest.Open(t, scorestest.URL(t)), dir: dir}
	if _, err := w.db.Pool().ExecContext(t.Context(), `create table refs (sha256 bytea references blobs)`); err != nil {
		t.Fatal(err)
	}
	bucket, err := objects.Open(t.Context(), where, objects.Once)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	if wrap != nil {
		bucket = wrap(bucket)
	}
	w.Store = blob.New(blob.Config{Bucket: bucket, DB: w.db, Protection: direct{}, Referrers: []blob.Column{{Table: "refs", Name: "sha256"}}})
	w.ref = w.db.Direct("ref", `insert into refs values ($1)`)
	return w
}

var errTooLarge = fault.New(fault.TooLarge, "too large")

// keep stores a text and, if wanted, a row that refers to it.
func (w *world) keep(ctx context.Context, text string, referTo bool) (blob.Content, error) {
	c, err := w.Receive(ctx, strings.NewReader(text), 1<<20, errTooLarge)
	if err != nil {
		return c, err
	}
	defer w.Forget(ctx, c)
	if err := w.Keep(ctx, c); err != nil || !referTo {
		return c, err
	}
	return c, w.db.Atomically(ctx, func(ctx context.Context) error {
		if err := w.Claim(ctx, c.SHA256); err != nil {
			return err
		}
		_, err := w.ref.Exec(ctx, c.SHA256[:])
		return err
	})
}

func (w *world) read(ctx context.Context, sum blob.Sum) (string, error) {
	o, err := w.Read(ctx, sum)
	if err != nil {
		return "", err
	}
	defer o.Close()
	text, err := io.ReadAll(o)
	return string(text), err
}

// files are the paths of all files below the directory of the storage.
func (w *world) files(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestContentIsKeptOnceUnderItsHash(t *testing.T) {
	everywhere(t, isKeptOnce)
}

func isKeptOnce(t *testing.T, open func(*testing.T) *world) {
	t.Helper()
	w := open(t)
	for range 3 {
		if _, err := w.keep(t.Context(), "waltz", true); err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.keep(t.Context(), "waltz", true)
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(w.dir, "sha256", c.SHA256.String()[:2], c.SHA256.String())
	if got := w.files(t); len(got) != 1 || got[0] != want {
		t.Errorf("files %v, want %s", got, want)
	}
	if text, err := w.read(t.Context(), c.SHA256); err != nil || text != "waltz" || c.Size != 5 {
		t.Errorf("read %q (%v), size %d", text, err, c.Size)
	}
}

// long is a text of several of the parts in which an object goes to a bucket.
const long = 12 << 20

func TestWhatDoesNotArriveLeavesNothing(t *testing.T) {
	everywhere(t, leavesNothing)
}

func leavesNothing(t *testing.T, open func(*testing.T) *world) {
	t.Helper()
	gone := errors.New("the client is gone")
	for name, tc := range map[string]struct {
		from io.Reader
		want error
	}{
		"a body that breaks off":               {io.MultiReader(strings.NewReader("half"), &failing{gone}), gone},
		"one that is too large":                {bytes.NewReader(make([]byte, long+1)), errTooLarge},
		"one that breaks off after some parts": {io.MultiReader(bytes.NewReader(make([]byte, long)), &failing{gone}), gone},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			if _, err := w.Receive(t.Context(), tc.from, long, errTooLarge); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if got := w.files(t); len(got) != 0 {
				t.Errorf("files %v are left", got)
			}
		})
	}
}

func TestLongContentArrivesWhole(t *testing.T) {
	everywhere(t, arrivesWhole)
}

func arrivesWhole(t *testing.T, open func(*testing.T) *world) {
	t.Helper()
	w := open(t)
	sent := strings.Repeat("la le lu ", long/9)
	c, err := w.Receive(t.Context(), strings.NewReader(sent), long, errTooLarge)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Keep(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.Forget(t.Context(), c)
	if got, err := w.read(t.Context(), c.SHA256); err != nil || got != sent {
		t.Errorf("%d bytes came back of %d (%v)", len(got), len(sent), err)
	}
	if got := w.files(t); len(got) != 1 {
		t.Errorf("files %v, want one", got)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// full is a bucket whose disk is full after some bytes.
type full struct {
	objects.Bucket
	room int64
}

func (f full) Write(ctx context.Context, key string, from io.Reader, most int64) error {
	return f.Bucket.Write(ctx, key, io.MultiReader(io.LimitReader(from, f.room), &failing{&os.PathError{Op: "write", Path: key, Err: syscall.ENOSPC}}), most)
}

// away is a bucket that does not copy.
type away struct{ objects.Bucket }

func (away) Copy(context.Context, string, string) error { return errors.New("connection refused") }

func TestStorageThatFailsIsUnavailableAndLeavesNothing(t *testing.T) {
	for name, wrap := range map[string]func(objects.Bucket) objects.Bucket{
		"a full disk":     func(b objects.Bucket) objects.Bucket { return full{Bucket: b, room: 2} },
		"away at the end": func(b objects.Bucket) objects.Bucket { return away{b} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wrap)
			if _, err := w.keep(t.Context(), "waltz", true); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("error %v, want it unavailable", err)
			}
			if got := w.files(t); len(got) != 0 {
				t.Errorf("files %v are left", got)
			}
		})
	}
}

func TestSweepRemovesWhatNobodyRefersToAndNothingElse(t *testing.T) {
	everywhere(t, sweepRemoves)
}

func sweepRemoves(t *testing.T, open func(*testing.T) *world) {
	t.Helper()
	w := open(t)
	wanted, err := w.keep(t.Context(), "wanted", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.keep(t.Context(), "unwanted", false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Receive(t.Context(), strings.NewReader("never kept"), 100, errTooLarge); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(w.dir, "sha256", "00", strings.Repeat("0", 64))
	half := filepath.Join(w.dir, "sha256", "00", strings.Repeat("0", 64)+".1f.tmp")
	for _, path := range []string{stray, half} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("stray"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if swept, err := w.Sweep(t.Context(), time.Hour); err != nil || swept != (blob.Swept{}) {
		t.Errorf("within the grace: %+v (%v), want nothing swept", swept, err)
	}
	if swept, err := w.Sweep(t.Context(), 0); err != nil || swept != (blob.Swept{Contents: 1, Strays: 3}) {
		t.Errorf("swept %+v (%v), want one content and three strays", swept, err)
	}
	if got := w.files(t); len(got) != 1 || filepath.Base(got[0]) != wanted.SHA256.String() {
		t.Errorf("files %v, want the one that is referred to", got)
	}
}

// patient is a bucket in which nothing is on its way for long enough to be swept.
type patient struct{ objects.Bucket }

func (p patient) List(ctx context.Context, prefix string, each func(string, time.Time) error) error {
	if prefix == "incoming/" {
		return nil
	}
	return p.Bucket.List(ctx, prefix, func(key string, written time.Time) error {
		if strings.HasSuffix(key, ".tmp") {
			return nil
		}
		return each(key, written)
	})
}

// A content comes and goes while sweeps without any grace run: whoever has referred to it must find it.
func TestSweepNeverTakesAContentThatSomebodyRefersTo(t *testing.T) {
	w := newWorld(t, func(b objects.Bucket) objects.Bucket { return patient{b} })
	unref := w.db.Direct("unref", `delete from refs where ctid in (select ctid from refs limit 1)`)
	ctx, cancel := context.WithCancel(t.Context())
	var sweeping sync.WaitGroup
	defer func() {
		cancel()
		sweeping.Wait()
	}()
	sweeping.Go(func() {
		for ctx.Err() == nil {
			if _, err := w.Sweep(t.Context(), 0); err != nil { //nolint:contextcheck // a sweep that has begun is not cut off
				t.Error(err)
				return
			}
		}
	})
	kept := 0
	for range 40 {
		c, err := w.keep(t.Context(), "waltz", true)
		if fault.CodeOf(err) == fault.Conflict {
			continue // it was swept before it was referred to, and the client sends it again
		}
		if err != nil {
			t.Fatal(err)
		}
		kept++
		if text, err := w.read(t.Context(), c.SHA256); err != nil || text != "waltz" {
			t.Fatalf("a content that is referred to: %q, %v", text, err)
		}
		if _, err := unref.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	sweeping.Wait()
	if kept == 0 {
		t.Error("nothing was ever kept, so nothing was proved")
	}
}
