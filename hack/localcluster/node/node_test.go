package node

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/hack/localcluster/state"
)

var settings = Settings{
	NodeIP:    netip.MustParseAddr("100.64.7.2"),
	MachineIP: netip.MustParseAddr("100.64.7.1"),
	Link:      netip.MustParsePrefix("100.64.7.0/30"),
	Pods:      netip.MustParsePrefix("10.244.0.0/16"),
	Services:  netip.MustParsePrefix("10.96.0.0/16"),
	Cgroup:    "pods",
}

func TestServiceAddresses(t *testing.T) {
	got := []string{settings.apiServiceIP().String(), settings.DNS().String(), settings.URL()}
	if diff := cmp.Diff([]string{"10.96.0.1", "10.96.0.10", "https://100.64.7.2:6443"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWriteMakesEveryFileThatIsNamed(t *testing.T) {
	dir := state.Dir(t.TempDir())
	if err := Write(dir, settings); err != nil {
		t.Fatal(err)
	}
	for _, c := range components(settings) {
		for _, arg := range c.args {
			_, path, isFlag := strings.Cut(arg, "="+inside())
			if !isFlag {
				continue
			}
			if strings.HasPrefix(arg, "--audit-log-path=") {
				path = filepath.Dir(path) // the API server makes the file
			}
			if _, err := os.Stat(dir.Cluster(path)); err != nil {
				t.Errorf("%s is started with %s: %v", c.name, arg, err)
			}
		}
	}
	if info, err := os.Stat(dir.Cluster("pki", "ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: %v, %v; want only its owner to read it", info.Mode(), err)
	}
}

func TestConfigurationIsWellFormed(t *testing.T) {
	for name := range configFiles {
		t.Run(name, func(t *testing.T) {
			text, err := render(name, settings)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "{{") {
				t.Errorf("a blank was left:\n%s", text)
			}
			var decoded any
			switch {
			case strings.HasSuffix(name, ".yaml"):
				err = yaml.Unmarshal(text, &decoded)
			case strings.HasSuffix(name, ".json"), strings.HasSuffix(name, ".conflist"):
				err = json.Unmarshal(text, &decoded)
			}
			if err != nil {
				t.Errorf("decoding: %v\n%s", err, text)
			}
		})
	}
}

func TestComponentsHaveTheirOwnRights(t *testing.T) {
	requests := certificates(settings)
	for user, groups := range map[string][]string{
		kubelet: {"system:nodes"}, scheduler: nil, controllerManager: nil, proxy: nil, Storage: nil,
	} {
		if diff := cmp.Diff(groups, requests[user].Organizations); diff != "" {
			t.Errorf("groups of %s (-want +got):\n%s", user, diff)
		}
		if server := requests[user]; len(server.DNSNames)+len(server.IPs) > 0 {
			t.Errorf("the client certificate of %s may serve", user)
		}
	}
}

func TestWhatNeedsTheAPIStartsAfterIt(t *testing.T) {
	var first []string
	for _, c := range components(settings) {
		if !c.afterAPI {
			first = append(first, c.name)
		}
	}
	slices.Sort(first)
	if diff := cmp.Diff([]string{"containerd", "etcd", "kube-apiserver"}, first); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
