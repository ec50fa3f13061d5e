package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// writeEnvironment leaves addresses, secrets and tokens for shells. It appears whole, when everything serves, so that a
// script may wait for it; only its owner may read it.
func (s *service) writeEnvironment() error {
	var apis, opses []string
	for _, a := range s.addresses() {
		apis = append(apis, a.api())
		opses = append(opses, a.ops())
	}
	var text strings.Builder
	for _, v := range []struct{ name, value string }{
		{"API", apis[0]},
		{"OPS", opses[0]},
		{"APIS", strings.Join(apis, " ")},
		{"OPSES", strings.Join(opses, " ")},
		{"DATABASE_URL", s.databaseURL},
		{"JWT_SECRET", s.secret},
		{"TOKEN_ALICE", s.tokens.alice},
		{"TOKEN_BOB", s.tokens.bob},
		{"TOKEN_TEACHER", s.tokens.teacher},
		{"TOKEN_ADMIN", s.tokens.admin},
	} {
		fmt.Fprintf(&text, "%s=%s\n", v.name, quote(v.value))
	}
	path := s.home.environment()
	half := path + ".part"
	if err := os.WriteFile(half, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(half, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// quote makes one word for a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// announce says where things are and what to paste.
func (s *service) announce(out io.Writer, added int, took time.Duration) {
	fmt.Fprintf(out, "The sheet-music library serves after %.1f s.\n\n", took.Seconds())
	for _, in := range s.instances {
		fmt.Fprintf(out, "  %s   operations %s   log %s\n", in.address.api(), in.address.ops(), s.relative(s.home.log(in.number)))
	}
	if added > 0 {
		fmt.Fprintf(out, "\nIts catalogue was empty; it has %d works now.\n", added)
	}
	fmt.Fprintf(out, `
In another terminal, in this directory:

  source %s
  curl -s "$API/api/scores?composer=Erik%%20Satie"
  curl -s "$API/api/scores" -H "Authorization: Bearer $TOKEN_ALICE" -H 'Content-Type: application/json' \
    -d '{"title": "Mazurka in A minor", "composer": "Frédéric Chopin", "opus": "Op. 17 No. 4", "instrument": "piano"}'
  curl -s "$API/api/scores?owner=me" -H "Authorization: Bearer $TOKEN_ALICE"
  curl -s "$OPS/health"

Settings change while it runs: edit %s and save.

There are TOKEN_ALICE, TOKEN_BOB (users), TOKEN_TEACHER and TOKEN_ADMIN, valid for %.0f hours.
Ctrl-C stops everything. The data stay; to begin anew, remove %s.
`, s.relative(s.home.environment()), s.relative(s.settings), tokenLife.Hours(), s.relative(s.home.path("postgres")))
}

func (s *service) relative(path string) string {
	if short, err := filepath.Rel(s.home.root, path); err == nil {
		return short
	}
	return path
}
