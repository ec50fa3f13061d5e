package backup

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
)

func TestExpired(t *testing.T) {
	good := func(name string) contract.BackupReport { return contract.BackupReport{Name: name, Verified: true} }
	bad := func(name string) contract.BackupReport { return contract.BackupReport{Name: name} }
	for name, tc := range map[string]struct {
		all       []contract.BackupReport
		keep      int
		made      string
		protected []string
		want      []string
	}{
		"none":                         {keep: 2},
		"as many as are kept":          {all: []contract.BackupReport{good("1"), good("2")}, keep: 2},
		"the oldest goes":              {all: []contract.BackupReport{good("1"), good("2"), good("3")}, keep: 2, want: []string{"1"}},
		"the newest stays in any case": {all: []contract.BackupReport{good("1"), good("2")}, keep: 0, want: []string{"1"}},
		"the one just made counts":     {all: []contract.BackupReport{good("1"), good("2"), good("3")}, keep: 2, made: "3", want: []string{"1"}},
		"another run was newer":        {all: []contract.BackupReport{good("1"), good("2"), good("3")}, keep: 2, made: "2", want: []string{"1"}},
		"two runs, and one is kept":    {all: []contract.BackupReport{good("1"), good("2"), good("3")}, keep: 1, made: "2", want: []string{"1"}},
		"older than all that are kept": {all: []contract.BackupReport{good("1"), good("2"), good("3"), good("4")}, keep: 2, made: "1", want: []string{"2", "3"}},
		"a protected one stays":        {all: []contract.BackupReport{good("1"), good("2"), good("3")}, keep: 1, protected: []string{"1"}, want: []string{"2"}},
		"damaged ones take no place":   {all: []contract.BackupReport{good("1"), good("2"), bad("3")}, keep: 2},
		"damaged ones are left alone":  {all: []contract.BackupReport{bad("1"), good("2"), good("3")}, keep: 1, want: []string{"2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, expired(tc.all, tc.keep, tc.made, tc.protected)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func aDraft(t *testing.T, location string) (*directoryDraft, error) {
	t.Helper()
	begun, err := directory{location}.begin(t.Context(), time.Now())
	if err != nil {
		return nil, err
	}
	return begun.(*directoryDraft), nil
}

func TestSweepOfADirectory(t *testing.T) {
	location := t.TempDir()
	live, err := aDraft(t, location)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := aDraft(t, location)
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.lock.Close(); err != nil { // as the kernel does for a process that was killed
		t.Fatal(err)
	}
	foreign := filepath.Join(location, "notes"+unfinished)
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	directory{location}.sweep()
	for path, want := range map[string]bool{live.path(): true, dead.path(): false, foreign: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v", path, err == nil)
		}
	}
	if err := live.discard(t.Context()); err != nil {
		t.Error(err)
	}
}

// Another run may sweep between any two calls of one that begins.
func TestSweepLeavesADraftThatBegins(t *testing.T) {
	location := t.TempDir()
	done := make(chan struct{})
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				directory{location}.sweep()
			}
		}
	})
	for range 500 {
		begun, err := aDraft(t, location)
		if err != nil {
			t.Error(err)
			break
		}
		if _, err := os.Stat(begun.path()); err != nil {
			t.Error(err)
		}
		if err := begun.discard(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	sweeper.Wait()
}
