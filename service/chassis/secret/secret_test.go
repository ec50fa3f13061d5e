package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	source := secret.FromFile(path)
	if _, err := source.Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("reading an absent file: %v, want fs.ErrNotExist", err)
	}
	for _, content := range []string{"first\n", "second\r\n", " third "} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := source.Read()
		if want := strings.TrimRight(content, "\r\n"); err != nil || got != want {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const value = "correct horse battery staple"
	source := secret.FromValue(value)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("Starting", "secret", source)
	printed := []string{log.String(), source.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		printed = append(printed, fmt.Sprintf(verb, source), fmt.Sprintf(verb, struct{ S secret.Source }{source}))
	}
	for _, text := range printed {
		if strings.Contains(text, value) {
			t.Errorf("%q shows the secret", text)
		}
	}
}

func TestGiven(t *testing.T) {
	for name, tc := range map[string]struct {
		source secret.Source
		want   bool
	}{
		"the zero source is not given": {source: secret.Source{}},
		"a value is given":             {source: secret.FromValue("x"), want: true},
		"a file is given":              {source: secret.FromFile("/absent"), want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.source.Given(); got != tc.want {
				t.Errorf("Given() = %t, want %t", got, tc.want)
			}
		})
	}
}
