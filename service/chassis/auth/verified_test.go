package auth

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

// A token that was good once is still looked at: it expires, and its key may go.
func TestRememberedTokensEnd(t *testing.T) {
	c := newClock()
	file := filepath.Join(t.TempDir(), "key")
	write(t, file, secretA)
	keys := newTestKeys(t, c, secret.FromFile(file), secret.Source{})
	verifier := NewVerifier(keys, Policy{})
	mint := func(id string, ttl time.Duration) string {
		token, err := NewIssuer(keys, Policy{}).Mint(Identity{ID: id, Role: RoleUser}, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	expect := func(when, token string, good bool) {
		t.Helper()
		for range 2 { // verified, and remembered
			if id, err := verifier.Verify(token); (err == nil) != good || good && id.ID != "alice" {
				t.Errorf("%s: %+v, %v", when, id, err)
			}
		}
	}
	short, long := mint("alice", time.Minute), mint("alice", time.Hour)
	expect("at first", short, true)
	expect("another one", long, true)
	expect("changed in its last letter", long[:len(long)-1]+flipped(long), false)
	c.forward(time.Minute + 2*leeway)
	expect("expired", short, false)
	expect("not expired", long, true)
	write(t, file, secretB)
	c.forward(2 * reloadEvery)
	expect("its key is gone", long, false)
}

// flipped is another last letter of the same alphabet that stands for other bits.
func flipped(token string) string {
	if strings.HasSuffix(token, "A") {
		return "Q"
	}
	return "A"
}

func TestRememberedTokensAreBounded(t *testing.T) {
	var v verified
	inForce, now := &[]key{}, time.Now()
	for i := range 3 * maxVerified {
		v.keep(strconv.Itoa(i), inForce, verdict{until: now.Add(time.Hour)})
	}
	v.keep(strings.Repeat("x", maxRemembered+1), inForce, verdict{until: now.Add(time.Hour)})
	if n := len(v.tokens); n > maxVerified {
		t.Errorf("%d tokens are remembered", n)
	}
	if _, ok := v.find(strings.Repeat("x", maxRemembered+1), inForce, now); ok {
		t.Error("a long token is remembered")
	}
}
