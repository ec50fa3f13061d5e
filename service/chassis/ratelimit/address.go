package ratelimit

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops is how many addresses of X-Forwarded-For are looked at; nobody has so many proxies.
const maxHops = 16

// addressOf is the address of the client. A proxy that is trusted says for whom it asks, by adding to X-Forwarded-For the address
// that it sees; so the header is read from its end, as far as those who wrote it are trusted. What is in front of that anybody may
// have written. A header from a peer that is not trusted, or one that holds no address there, changes nothing.
func addressOf(peer string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	address := parseAddress(peer)
	if len(forwarded) == 0 {
		return address
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0 && i >= len(hops)-maxHops && isTrusted(address, trusted); i-- {
		next := parseAddress(strings.TrimSpace(hops[i]))
		if !next.IsValid() {
			break
		}
		address = next
	}
	return address
}

// parseAddress takes an address with or without a port. It returns the zero address for anything else.
func parseAddress(text string) netip.Addr {
	withPort, err := netip.ParseAddrPort(text) // a peer's has one; nothing is both
	address := withPort.Addr()
	if err != nil {
		if address, err = netip.ParseAddr(text); err != nil {
			return netip.Addr{}
		}
	}
	return address.Unmap().WithZone("")
}

func isTrusted(address netip.Addr, trusted []netip.Prefix) bool {
	for _, network := range trusted {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// clientOf is what of an address counts as one client: all of an IPv4 address, but a whole /64 of IPv6, since that is what one
// connection is given to choose from.
func clientOf(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address
	}
	return network.Addr()
}

// addressOfRequest is addressOf for a request.
func addressOfRequest(r *http.Request, trusted []netip.Prefix) netip.Addr {
	return addressOf(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), trusted)
}
