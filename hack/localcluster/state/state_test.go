package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	root := t.TempDir()
	below := filepath.Join(root, "hack", "localcluster", "state")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]string{"at the root": root, "below": below, "in hack": filepath.Join(root, "hack")} {
		t.Run(name, func(t *testing.T) {
			got, err := Find(start)
			if err != nil || got != Dir(filepath.Join(root, ".local")) {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	if got, err := Find(t.TempDir()); err == nil {
		t.Errorf("outside a repository: got %s, want an error", got)
	}
}

func TestRecord(t *testing.T) {
	dir := Dir(t.TempDir())
	if _, err := dir.Load(); !errors.Is(err, ErrNone) {
		t.Fatalf("before any cluster: %v, want ErrNone", err)
	}
	want := Record{Provider: Native, Init: Process{PID: 12, Started: 34}, NodeIP: "100.64.7.2"}
	if err := dir.Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := dir.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.MkdirAll(dir.Images(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := dir.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Load(); !errors.Is(err, ErrNone) {
		t.Errorf("after removal: %v, want ErrNone", err)
	}
	if _, err := os.Stat(dir.Images()); err != nil {
		t.Errorf("removal took the images along: %v", err)
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	dir := Dir(t.TempDir())
	release, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(); err == nil {
		t.Error("the lock was given twice")
	}
	release()
	again, err := dir.Lock()
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	again()
}
