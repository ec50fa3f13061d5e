package auth

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

const (
	secretA = "a secret that is long enough, the first one"
	secretB = "a secret that is long enough, the second one"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{at: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) forward(d time.Duration) { c.at = c.at.Add(d) }

func newTestKeys(t *testing.T, c *clock, current, previous secret.Source) *Keys {
	t.Helper()
	keys, err := NewKeys(current, previous, slog.New(slog.DiscardHandler), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestShortSecretsAreRefused(t *testing.T) {
	absent := secret.FromFile(filepath.Join(t.TempDir(), "absent"))
	for name, tc := range map[string]struct {
		current, previous secret.Source
		wantErr           bool
	}{
		"a secret of 32 bytes is accepted":           {current: secret.FromValue(strings.Repeat("x", 32))},
		"a secret of 31 bytes is refused":            {current: secret.FromValue(strings.Repeat("x", 31)), wantErr: true},
		"a secret that is not given is refused":      {wantErr: true},
		"a file that is absent is refused":           {current: absent, wantErr: true},
		"a previous file may be absent":              {current: secret.FromValue(secretA), previous: absent},
		"a previous secret that is short is refused": {current: secret.FromValue(secretA), previous: secret.FromValue("short"), wantErr: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewKeys(tc.current, tc.previous, slog.New(slog.DiscardHandler), time.Now)
			if (err != nil) != tc.wantErr {
				t.Errorf("error = %v, want one: %t", err, tc.wantErr)
			}
		})
	}
}

// A rotation replaces the files in place: the old secret becomes the previous one and verifies until it is removed.
func TestRotationNeedsNoRestart(t *testing.T) {
	dir := t.TempDir()
	current, previous := filepath.Join(dir, "secret"), filepath.Join(dir, "previous")
	write(t, current, secretA)
	c := newClock()
	keys := newTestKeys(t, c, secret.FromFile(current), secret.FromFile(previous))
	issuer, verifier := NewIssuer(keys, Policy{}), NewVerifier(keys, Policy{})

	old := mint(t, issuer)
	write(t, current, secretB)
	write(t, previous, secretA)
	c.forward(reloadEvery)
	fresh := mint(t, issuer)
	if keyID(t, old) == keyID(t, fresh) {
		t.Error("the new secret does not sign")
	}
	for name, token := range map[string]string{"old": old, "new": fresh} {
		if _, err := verifier.Verify(token); err != nil {
			t.Errorf("the %s token is refused during the rotation: %v", name, err)
		}
	}

	if err := os.Remove(previous); err != nil {
		t.Fatal(err)
	}
	c.forward(reloadEvery)
	if _, err := verifier.Verify(old); err == nil {
		t.Error("the old token is accepted after the rotation")
	}
	if _, err := verifier.Verify(fresh); err != nil {
		t.Errorf("the new token is refused after the rotation: %v", err)
	}
}

func TestBrokenFileKeepsTheLastGoodSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, secretA)
	c, log := newClock(), &bytes.Buffer{}
	keys, err := NewKeys(secret.FromFile(path), secret.Source{}, slog.New(slog.NewTextHandler(log, nil)), c.now)
	if err != nil {
		t.Fatal(err)
	}
	token := mint(t, NewIssuer(keys, Policy{}))
	write(t, path, "short")
	for range 3 {
		c.forward(reloadEvery)
		if _, err := NewVerifier(keys, Policy{}).Verify(token); err != nil {
			t.Fatalf("refused: %v", err)
		}
	}
	if got := strings.Count(log.String(), "Keeping the signing secrets"); got != 1 {
		t.Errorf("logged %d times, want once:\n%s", got, log)
	}
	if strings.Contains(log.String(), secretA) {
		t.Error("the log shows the secret")
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mint(t *testing.T, issuer *Issuer) string {
	t.Helper()
	token, err := issuer.Mint(Identity{ID: "alice", Role: RoleUser}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
