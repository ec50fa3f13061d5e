package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
)

// Interface is the machine's end of the link to the node; the node's end is called eth0.
const Interface = "mirubato0"

// aliasWord starts the alias of Interface. The kernel keeps the alias with the interface, so that whoever finds the
// interface also finds its owner, and both vanish together.
const aliasWord = "localcluster"

// maxAlias is the longest alias that the kernel takes, in bytes.
const maxAlias = 255

// Owner says whose node the interface leads to.
type Owner struct {
	// PID is the first process of the node.
	PID int
	// Dir is the state directory. A very long one is cut at the end.
	Dir string
}

func (o Owner) alias() string {
	alias := fmt.Sprintf("%s %d %s", aliasWord, o.PID, o.Dir)
	return alias[:min(len(alias), maxAlias)]
}

func parseAlias(alias string) (Owner, bool) {
	fields := strings.SplitN(alias, " ", 3)
	if len(fields) != 3 || fields[0] != aliasWord {
		return Owner{}, false
	}
	pid, err := strconv.Atoi(fields[1])
	if err != nil {
		return Owner{}, false
	}
	return Owner{PID: pid, Dir: fields[2]}, true
}

// is tells whether the alias could have been written for dir.
func (o Owner) is(dir string) bool { return o == Owner{PID: o.PID, Dir: cutDir(o.PID, dir)} }

func cutDir(pid int, dir string) string {
	cut, _ := parseAlias(Owner{PID: pid, Dir: dir}.alias())
	return cut.Dir
}

// Connect lays the link between the machine and the network namespace of owner's process, and the routes to what is
// behind it.
func Connect(ctx context.Context, owner Owner, ranges Ranges) error {
	machineEnd := netip.PrefixFrom(ranges.MachineIP(), ranges.Link.Bits()).String()
	node := ranges.NodeIP().String()
	for _, args := range [][]string{
		{"link", "add", Interface, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(owner.PID)},
		{"link", "set", "dev", Interface, "alias", owner.alias()},
		{"addr", "add", machineEnd, "dev", Interface},
		{"link", "set", Interface, "up"},
		{"route", "add", ranges.Pods.String(), "via", node, "dev", Interface},
		{"route", "add", ranges.Services.String(), "via", node, "dev", Interface},
	} {
		if _, err := ip(ctx, args...); err != nil {
			return fmt.Errorf("connecting the node: %w", err)
		}
	}
	return nil
}

// Free returns ranges that this machine does not use.
func Free(ctx context.Context) (Ranges, error) {
	out, err := ip(ctx, "-json", "-4", "route", "show", "table", "all")
	if err != nil {
		return Ranges{}, err
	}
	used, err := parseRoutes(out)
	if err != nil {
		return Ranges{}, err
	}
	return choose(used)
}

// parseRoutes returns the destinations of all routes but those over Interface, as printed by ip -json.
func parseRoutes(data []byte) ([]netip.Prefix, error) {
	var routes []struct {
		Destination string `json:"dst"`
		Device      string `json:"dev"`
	}
	if err := json.Unmarshal(data, &routes); err != nil {
		return nil, fmt.Errorf("reading this machine's routes: %w", err)
	}
	var prefixes []netip.Prefix
	for _, route := range routes {
		if route.Device == Interface || route.Destination == "default" {
			continue
		}
		if addr, err := netip.ParseAddr(route.Destination); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(route.Destination)
		if err != nil {
			return nil, fmt.Errorf("reading this machine's routes: %w", err)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// link looks at Interface; exists is false when there is none, ours when its alias is one that we wrote.
func link(ctx context.Context) (owner Owner, exists, ours bool, err error) {
	out, err := ip(ctx, "-json", "link", "show")
	if err != nil {
		return Owner{}, false, false, err
	}
	var links []struct {
		Name  string `json:"ifname"`
		Alias string `json:"ifalias"`
	}
	if err := json.Unmarshal(out, &links); err != nil {
		return Owner{}, false, false, fmt.Errorf("reading this machine's interfaces: %w", err)
	}
	for _, l := range links {
		if l.Name == Interface {
			owner, ours = parseAlias(l.Alias)
			return owner, true, ours, nil
		}
	}
	return Owner{}, false, false, nil
}

func ip(ctx context.Context, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "ip", args...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
