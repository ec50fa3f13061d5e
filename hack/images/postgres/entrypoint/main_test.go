package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/hack/images/postgres"
)

func TestFilesThatWereOpenedToAGroupAreClosedAgain(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(data, 0o770); err != nil {
		t.Fatal(err)
	}
	if err := ensureData(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, want only the owner to get in", info.Mode())
	}
}

func TestReadDatabases(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		text    string
		want    []postgres.Database
		refused bool
	}{
		"a list": {
			text: `[{"name":"a","owner":{"name":"o","password":"1"},"app":{"name":"p","password":"2"}}]`,
			want: []postgres.Database{{
				Name: "a", Owner: postgres.Account{Name: "o", Password: "1"}, App: postgres.Account{Name: "p", Password: "2"},
			}},
		},
		"no JSON": {text: "databases: none", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "databases.json")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readDatabases(path)
			if (err != nil) != tc.refused {
				t.Fatalf("error %v, want refused: %v", err, tc.refused)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got, err := readDatabases(""); err != nil || got != nil {
		t.Errorf("without a file: %v, %v, want nothing", got, err)
	}
	if _, err := readDatabases(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is missing was taken for an empty list")
	}
}
