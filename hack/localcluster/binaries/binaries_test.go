package binaries

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/hack/localcluster/state"
)

func TestAbsent(t *testing.T) {
	for name, tc := range map[string]struct{ there, want []string }{
		"a fresh machine lacks all but what every system has": {
			there: []string{"ip"},
			want:  []string{"etcd-server", "containerd", "runc", "containernetworking-plugins", "iptables", "nftables"},
		},
		"a containerd from elsewhere is good enough": {
			there: []string{"ip", "etcd", "containerd", "runc", "iptables", "nft"},
			want:  []string{"containernetworking-plugins"},
		},
		"nothing is missing": {
			there: []string{"ip", "etcd", "containerd", "runc", "iptables", "nft", "/usr/lib/cni/ptp"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := absent(ofANode, func(program string) bool { return slices.Contains(tc.there, program) })
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKubernetesKnowsItsVersion(t *testing.T) {
	program := Kubernetes(state.Dir("/checkout/.local"))
	for _, want := range []string{
		"-X k8s.io/component-base/version.gitVersion=v1.37.2",
		"-X k8s.io/component-base/version.gitMajor=1",
		"-X k8s.io/component-base/version.gitMinor=37",
	} {
		if !slices.Contains(program.LDFlags, want) {
			t.Errorf("no %s among %q", want, program.LDFlags)
		}
	}
	if program.Source != "/checkout/hack/localcluster/kubernetes" || program.Output != "/checkout/.local/bin/kubernetes" {
		t.Errorf("built from %s into %s", program.Source, program.Output)
	}
}
