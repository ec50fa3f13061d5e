// Package machine prepares the Linux machine under a native node and cleans up after it: it checks that a node can run,
// owns the one veth pair, the two routes and the cgroup that a node needs outside of its own namespaces, and knows which
// state directory they belong to. It never touches an interface, a route or a firewall rule that it did not make.
package machine

import (
	"fmt"
	"net/netip"
)

// Pods and Services are the ranges of addresses that those get. They are fixed because they are written into certificates and
// manifests; a machine that uses them itself is refused.
var (
	Pods     = netip.MustParsePrefix("10.244.0.0/16")
	Services = netip.MustParsePrefix("10.96.0.0/16")
)

// Ranges are the addresses of one node.
type Ranges struct {
	// Link is the range between machine and node: the first address is the machine's end, the second the node.
	Link netip.Prefix
	Pods netip.Prefix
	// Services is the range of cluster IPs. The first address is the API server's, the tenth the DNS server's.
	Services netip.Prefix
}

// MachineIP is the machine's end of the link.
func (r Ranges) MachineIP() netip.Addr { return r.Link.Masked().Addr().Next() }

// NodeIP is the node's end of the link.
func (r Ranges) NodeIP() netip.Addr { return r.MachineIP().Next() }

// choose picks addresses that none of used overlaps. The link is a small piece of the range that is set aside for
// carriers, so that it does not meet the private networks people build. A default route does not count as a use.
func choose(used []netip.Prefix) (Ranges, error) {
	ranges := Ranges{Pods: Pods, Services: Services}
	for _, wanted := range []netip.Prefix{Pods, Services} {
		if other, taken := overlapping(wanted, used); taken {
			return Ranges{}, fmt.Errorf("this machine already has a route to %s, which the cluster needs for %s; "+
				"remove that route, or start with PROVIDER=kind", other, wanted)
		}
	}
	const first, last = 7, 254
	for third := first; third <= last; third++ {
		ranges.Link = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, byte(third), 0}), 30)
		if _, taken := overlapping(ranges.Link, used); !taken {
			return ranges, nil
		}
	}
	return Ranges{}, fmt.Errorf("every piece of 100.64.0.0/16 is in use on this machine, so there is none for the link to " +
		"the node; remove the route that covers it (a VPN's, most likely), or start with PROVIDER=kind")
}

func overlapping(wanted netip.Prefix, used []netip.Prefix) (netip.Prefix, bool) {
	for _, other := range used {
		if other.Bits() > 0 && wanted.Overlaps(other) {
			return other, true
		}
	}
	return netip.Prefix{}, false
}
