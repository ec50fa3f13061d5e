package databases

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mirubato/mirubato/hack/images/postgres"
)

func TestConnections(t *testing.T) {
	got := connections([]postgres.Database{{
		Name:  "scores_staging",
		Owner: postgres.Account{Name: "scores_staging_owner", Password: "a"},
		App:   postgres.Account{Name: "scores_staging_app", Password: "b/c"},
	}})
	want := []Connection{{
		Environment: "staging",
		OwnerURL:    "postgres://scores_staging_owner:a@postgres.databases.svc:5432/scores_staging?sslmode=disable",
		AppURL:      "postgres://scores_staging_app:b%2Fc@postgres.databases.svc:5432/scores_staging?sslmode=disable",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryAccountHasItsOwnPassword(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		for _, d := range newDatabases() {
			for _, account := range []postgres.Account{d.Owner, d.App} {
				if len(account.Password) < 20 || seen[account.Password] {
					t.Errorf("password %q of %s is short or used twice", account.Password, account.Name)
				}
				seen[account.Password] = true
			}
		}
	}
	if want := 2 * 2 * len(environments); len(seen) != want {
		t.Errorf("%d passwords, want %d", len(seen), want)
	}
}

func TestObjects(t *testing.T) {
	rendered, err := objects("localhost/mirubato/postgres:15")
	if err != nil {
		t.Fatal(err)
	}
	if rendered[0].GetKind() != "Namespace" {
		t.Errorf("first comes a %s, want the namespace", rendered[0].GetKind())
	}
	var set *unstructured.Unstructured
	for _, object := range rendered {
		if object.GetKind() == "StatefulSet" {
			set = object
		}
	}
	containers, _, err := unstructured.NestedSlice(set.Object, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	arguments, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	if err != nil {
		t.Fatal(err)
	}
	want := append(postgres.ServerArguments(), "-c", "shared_buffers=64MB", "-c", "max_connections=200")
	if diff := cmp.Diff(want, arguments); diff != "" {
		t.Errorf("arguments of the server (-want +got):\n%s", diff)
	}
}

func TestWriteIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "databases.json")
	want := connections(newDatabases())
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want only the owner to read it", info.Mode())
	}
	encoded, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []Connection
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := url.Parse(got[0].AppURL); err != nil {
		t.Errorf("the URL is none: %v", err)
	}
}
