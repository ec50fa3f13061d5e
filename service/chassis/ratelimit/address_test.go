package ratelimit

import (
	"crypto/sha256"
	"net/netip"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

func TestWhoTheClientIs(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tc := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                              {"192.0.2.1:1234", nil, "192.0.2.1"},
		"a forged header":                       {"192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		"a forged header with a trusted end":    {"192.0.2.1:1234", []string{"198.51.100.7, 10.0.0.1"}, "192.0.2.1"},
		"a trusted proxy":                       {"10.0.0.1:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		"a trusted proxy of IPv6":               {"[fd00::1]:1234", []string{"2001:db8::7"}, "2001:db8::7"},
		"a trusted proxy without a header":      {"10.0.0.1:1234", nil, "10.0.0.1"},
		"what the client wrote before":          {"10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		"what the client wrote in its own line": {"10.0.0.1:1234", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"two trusted proxies":                   {"10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7, 10.2.3.4"}, "198.51.100.7"},
		"only trusted proxies":                  {"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"no address at the end":                 {"10.0.0.1:1234", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		"no address in front":                   {"10.0.0.1:1234", []string{"<script>, 198.51.100.7"}, "198.51.100.7"},
		"an empty header":                       {"10.0.0.1:1234", []string{""}, "10.0.0.1"},
		"a port":                                {"10.0.0.1:1234", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		"a port of IPv6":                        {"10.0.0.1:1234", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		"an address of IPv4 in IPv6":            {"[::ffff:10.0.0.1]:1234", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"a zone":                                {"[fe80::1%eth0]:1234", nil, "fe80::1"},
		"no address at all":                     {"@", []string{"198.51.100.7"}, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := addressOf(tc.peer, tc.forwarded, trusted).String(); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestMoreHopsThanAnybodyHas(t *testing.T) {
	hops := "198.51.100.7"
	for range 10_000 {
		hops += ",10.0.0.2"
	}
	got := addressOf("10.0.0.1:1", []string{hops}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	if got.String() != "10.0.0.2" {
		t.Errorf("%s", got)
	}
}

func TestWhoIsCountedTogether(t *testing.T) {
	address := netip.MustParseAddr
	for name, tc := range map[string]struct {
		a, b string
		idA  string
		idB  string
		as   bool
	}{
		"the same address":             {a: "192.0.2.1", b: "192.0.2.1", as: true},
		"another address":              {a: "192.0.2.1", b: "192.0.2.2"},
		"the same network of IPv6":     {a: "2001:db8:0:1::1", b: "2001:db8:0:1:ffff::9", as: true},
		"another network of IPv6":      {a: "2001:db8:0:1::1", b: "2001:db8:0:2::1"},
		"an account wherever it is":    {a: "192.0.2.1", b: "2001:db8::1", idA: "alice", idB: "alice", as: true},
		"two accounts at one address":  {a: "192.0.2.1", b: "192.0.2.1", idA: "alice", idB: "bob"},
		"an account and its address":   {a: "192.0.2.1", b: "192.0.2.1", idA: "alice"},
		"an account called an address": {a: "192.0.2.1", b: "192.0.2.1", idA: "192.0.2.1"},
		"an account called like a key": {a: "192.0.2.1", b: "192.0.2.1", idA: "address 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := rule{counts: "caller"}
			a := keyOf(r, auth.Identity{ID: tc.idA}, address(tc.a))
			b := keyOf(r, auth.Identity{ID: tc.idB}, address(tc.b))
			if (a == b) != tc.as {
				t.Errorf("%x and %x", a, b)
			}
			if other := keyOf(rule{counts: "address"}, auth.Identity{ID: tc.idA}, address(tc.a)); other == a {
				t.Error("two rules share a count")
			}
		})
	}
}

// Processes of two releases count together while one takes over from the other, so keys stay what they are.
func TestKeysStayWhatTheyAre(t *testing.T) {
	for client, key := range map[string]Key{
		"account alice":      keyOf(rule{counts: "c"}, auth.Identity{ID: "alice"}, netip.Addr{}),
		"address 192.0.2.1":  keyOf(rule{counts: "c"}, auth.Identity{}, netip.MustParseAddr("192.0.2.1")),
		"address 2001:db8::": keyOf(rule{counts: "c"}, auth.Identity{}, netip.MustParseAddr("2001:db8::7")),
		"address invalid IP": keyOf(rule{counts: "c"}, auth.Identity{}, netip.Addr{}),
	} {
		sum := sha256.Sum256([]byte("c" + client))
		if want := Key(sum[:16]); key != want {
			t.Errorf("%s: %x, want %x", client, key, want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.7, 10.0.0.2")
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		got := addressOf(peer, []string{forwarded}, trusted)
		if own := parseAddress(peer); !isTrusted(own, trusted) && got != own {
			t.Errorf("%q with %q is %s", peer, forwarded, got)
		}
	})
}
