package auth

import (
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

func FuzzVerify(f *testing.F) {
	c := newClock()
	keys, err := NewKeys(secret.FromValue(secretA), secret.Source{}, slog.New(slog.DiscardHandler), c.now)
	if err != nil {
		f.Fatal(err)
	}
	good, err := NewIssuer(keys, Policy{}).Mint(Identity{ID: "alice", Role: RoleUser}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	unsigned := encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"sub":"alice","exp":99999999999}`)) + "."
	for _, seed := range []string{good, good + "=", good[:len(good)-1] + "B", good[:len(good)-1] + "C", good[:len(good)-1], unsigned, "", ".", "..", "a.b.c", strings.Repeat("A", 9000)} {
		f.Add(seed)
	}
	verifier := NewVerifier(keys, Policy{})
	f.Fuzz(func(t *testing.T, token string) {
		id, err := verifier.Verify(token)
		if err == nil && (token != good || id.ID != "alice") {
			t.Errorf("accepted %q as %v", token, id)
		}
		if err != nil && !id.IsAnonymous() {
			t.Errorf("refused %q, but names %v", token, id)
		}
	})
}
