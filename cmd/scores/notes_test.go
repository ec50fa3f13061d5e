package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// keysetCommands run the commands on a keyset in a file.
type keysetCommands struct {
	t         *testing.T
	file, url string
}

func (k keysetCommands) run(args ...string) (out, problem string, err error) {
	k.t.Helper()
	cmd := command(k.t, []string{"NOTES_KEYSET_FILE=" + k.file, "DATABASE_URL=" + k.url}, append([]string{"notes"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// replace writes what a command prints into the file.
func (k keysetCommands) replace(args ...string) (problem string) {
	k.t.Helper()
	out, problem, err := k.run(args...)
	if err != nil {
		k.t.Fatalf("%v: %v: %s", args, err, problem)
	}
	if err := os.WriteFile(k.file, []byte(out), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return problem
}

func TestNotesThroughARotation(t *testing.T) {
	k := keysetCommands{t: t, file: filepath.Join(t.TempDir(), "keyset"), url: scorestest.URL(t)}
	k.replace("keyset", "new")
	l := run(t, k.url, func(c *Config) { c.NotesKeyset = secret.FromFile(k.file) })
	path := l.added(t, alice, `{"title":"Nocturne"}`) + "/notes"
	l.as(t, alice, http.MethodPut, path, `{"notes":"Slower"}`).is(t, 200, "")
	was, _, _ := k.run("keyset", "show")
	added := regexp.MustCompile(`added the key (\d+)`).FindStringSubmatch(k.replace("keyset", "add"))
	if added == nil {
		t.Fatal("the ID of the key is not told")
	}
	k.replace("keyset", "promote", "--key", added[1])
	for range 2 { // the second run has nothing to do
		out, problem, err := k.run("rotate")
		if err != nil || !strings.Contains(out, "all notes are under the key "+added[1]) {
			t.Fatalf("rotating: %v: %s %s", err, out, problem)
		}
	}
	first, _, _ := strings.Cut(was, " ")
	k.replace("keyset", "drop", "--key", first)
	if shown, _, err := k.run("keyset", "show"); err != nil || shown != added[1]+" encrypts and decrypts\n" {
		t.Errorf("at the end: %v: %s", err, shown)
	}
	// The service of before reads the file again by itself; another one starts with it.
	again := run(t, k.url, func(c *Config) { c.NotesKeyset = secret.FromFile(k.file) })
	if got := again.as(t, alice, http.MethodGet, path, "").is(t, 200, ""); got.data(t)["notes"] != "Slower" {
		t.Errorf("%s", got.body)
	}
	if strings.Contains(l.log.String()+again.log.String(), "Slower") {
		t.Error("the log holds notes")
	}
}

func TestNotesCommandsRefuse(t *testing.T) {
	k := keysetCommands{t: t, file: filepath.Join(t.TempDir(), "keyset"), url: "postgres://nobody@127.0.0.1:1/none"}
	for name, tc := range map[string]struct {
		content string // "" for no file
		args    []string
		want    string
	}{
		"rotating without a file":  {args: []string{"rotate"}, want: "no such file"},
		"showing without a file":   {args: []string{"keyset", "show"}, want: "no such file"},
		"a file of something else": {content: "hunter2", args: []string{"keyset", "add"}, want: "this is no keyset"},
		"promoting without a key":  {content: "hunter2", args: []string{"keyset", "promote"}, want: `"key" not set`},
	} {
		_ = os.Remove(k.file)
		if tc.content != "" {
			if err := os.WriteFile(k.file, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, problem, err := k.run(tc.args...)
		if err == nil || out != "" || !strings.Contains(problem, tc.want) || strings.Contains(problem, "hunter2") {
			t.Errorf("%s: %v: %q %q, want %q", name, err, out, problem, tc.want)
		}
	}
	k.file = ""
	if _, problem, err := k.run("rotate"); err == nil || !strings.Contains(problem, "NOTES_KEYSET_FILE: is required") {
		t.Errorf("without a variable: %v: %s", err, problem)
	}
}

func TestServiceWithoutAKeyset(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	got := l.as(t, alice, http.MethodGet, path+"/notes", "").is(t, 503, "SERVICE_ERROR")
	if !strings.Contains(got.body, "Private notes are not set up here") {
		t.Errorf("%s", got.body)
	}
	l.as(t, alice, http.MethodGet, path, "").is(t, 200, "")
}
