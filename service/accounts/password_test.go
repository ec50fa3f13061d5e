package accounts

import (
	"context"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

func TestPassword(t *testing.T) {
	h := newHasher()
	hash, err := h.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := h.hash(t.Context(), "correct horse battery"); err != nil || other == hash {
		t.Errorf("two hashes of one password are the same, %v", err)
	}
	for name, tc := range map[string]struct {
		hash, password string
		want, broken   bool
	}{
		"the password":          {hash: hash, password: "correct horse battery", want: true},
		"another password":      {hash: hash, password: "correct horse batterY"},
		"nobody's password":     {hash: h.nobody, password: ""},
		"another form":          {hash: "$2b$12$abc", password: "x", broken: true},
		"a cost beyond bounds":  {hash: strings.Replace(hash, "t=2", "t=99", 1), password: "x", broken: true},
		"a cost that is none":   {hash: strings.Replace(hash, "t=2", "t=x", 1), password: "x", broken: true},
		"a hash that is cut":    {hash: hash[:len(hash)-4], password: "x", broken: true},
		"a hash of other bytes": {hash: hash + "%", password: "x", broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := h.matches(t.Context(), tc.hash, tc.password)
			if got != tc.want || (err != nil) != tc.broken {
				t.Errorf("%t, %v", got, err)
			}
		})
	}
}

func TestTooManyLoginsAtOnceAreSentAway(t *testing.T) {
	h := newHasher()
	for range hashesAtOnce {
		if _, err := h.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.hash(ctx, "x"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("hashing: %v", err)
	}
	if _, err := h.matches(ctx, h.nobody, "x"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("comparing: %v", err)
	}
}
