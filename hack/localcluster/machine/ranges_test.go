package machine

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	for name, tc := range map[string]struct {
		used    []string
		link    string
		refused bool
	}{
		"a machine without networks gets the first piece": {link: "100.64.7.0/30"},
		"a default route is no obstacle":                  {used: []string{"0.0.0.0/0"}, link: "100.64.7.0/30"},
		"other private networks are no obstacle":          {used: []string{"10.0.0.0/16", "172.17.0.0/16"}, link: "100.64.7.0/30"},
		"a taken piece is passed over":                    {used: []string{"100.64.7.1/32", "100.64.8.0/24"}, link: "100.64.9.0/30"},
		"a VPN over the whole range is refused":           {used: []string{"100.64.0.0/10"}, refused: true},
		"a route to the pods is refused":                  {used: []string{"10.244.3.0/24"}, refused: true},
		"a route around the Services is refused":          {used: []string{"10.0.0.0/8"}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			var used []netip.Prefix
			for _, prefix := range tc.used {
				used = append(used, netip.MustParsePrefix(prefix))
			}
			got, err := choose(used)
			if (err != nil) != tc.refused {
				t.Fatalf("error %v, want refused: %v", err, tc.refused)
			}
			if !tc.refused && got.Link.String() != tc.link {
				t.Errorf("got %s, want %s", got.Link, tc.link)
			}
		})
	}
}

func TestLinkAddresses(t *testing.T) {
	ranges := Ranges{Link: netip.MustParsePrefix("100.64.9.0/30")}
	got := []string{ranges.MachineIP().String(), ranges.NodeIP().String()}
	if diff := cmp.Diff([]string{"100.64.9.1", "100.64.9.2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOwnerInAlias(t *testing.T) {
	for name, tc := range map[string]struct {
		alias string
		owner Owner
		ok    bool
	}{
		"what we write is read back":     {alias: Owner{PID: 42, Dir: "/a b/.local"}.alias(), owner: Owner{PID: 42, Dir: "/a b/.local"}, ok: true},
		"no alias has no owner":          {alias: ""},
		"another program's alias is not": {alias: "uplink to the office"},
		"a broken number is not":         {alias: "localcluster x /a"},
	} {
		t.Run(name, func(t *testing.T) {
			owner, ok := parseAlias(tc.alias)
			if ok != tc.ok {
				t.Fatalf("ok %v, want %v", ok, tc.ok)
			}
			if diff := cmp.Diff(tc.owner, owner); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRoutes(t *testing.T) {
	got, err := parseRoutes([]byte(`[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},
		{"dst":"192.0.2.0/24","dev":"eth0"},{"dst":"100.64.7.2","dev":"tun0"},
		{"type":"unreachable","dst":"10.244.0.0/16","dev":"lo"},{"dst":"10.96.0.0/16","dev":"mirubato0"}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("100.64.7.2/32"), netip.MustParsePrefix("10.244.0.0/16"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
