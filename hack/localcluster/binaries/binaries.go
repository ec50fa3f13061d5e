// Package binaries provides the programs of the local cluster: those that are built here and those that come from
// Debian. It owns the list of both and the versions.
package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mirubato/mirubato/hack/debian"
	"github.com/mirubato/mirubato/hack/localcluster/build"
	"github.com/mirubato/mirubato/hack/localcluster/progress"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

// KubernetesVersion is that of the module in the directory kubernetes. It is linked in because a program built from a
// module does not know it.
const KubernetesVersion = "v1.37.2"

// SearchPath is where Debian puts programs. The PATH of a user may lack half of it.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Kubernetes is the one file that is every component of Kubernetes, by the name under which it is started.
func Kubernetes(dir state.Dir) build.Program {
	major, minor, _ := strings.Cut(strings.TrimPrefix(KubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const variables = "k8s.io/component-base/version."
	return build.Program{
		Source: dir.Sources("localcluster", "kubernetes"),
		Output: dir.Bin("kubernetes"),
		LDFlags: []string{
			"-X " + variables + "gitVersion=" + KubernetesVersion,
			"-X " + variables + "gitMajor=" + major,
			"-X " + variables + "gitMinor=" + minor,
			"-X k8s.io/client-go/pkg/version.gitVersion=" + KubernetesVersion,
		},
		Links: []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"},
	}
}

// CoreDNS is the cluster's DNS server.
func CoreDNS(dir state.Dir) build.Program {
	return build.Program{Source: dir.Sources("localcluster", "coredns"), Output: dir.Bin("coredns")}
}

// requirement is a program that a Debian package brings. It is the program that is looked for, because other packages
// bring it too, and some of those, Docker's containerd among them, would be removed to make room.
type requirement struct{ program, deb string }

// etcd is what API servers need, in a cluster as in tests.
var etcd = requirement{"etcd", "etcd-server"}

// ofANode are the requirements of a native node.
var ofANode = []requirement{
	etcd,
	{"containerd", "containerd"},
	{"runc", "runc"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"nft", "nftables"},
	{"ip", "iproute2"},
}

// EnsureForNode installs what a native node needs from Debian.
func EnsureForNode(ctx context.Context, out io.Writer) error {
	return debian.Ensure(ctx, out, absent(ofANode, exists)...)
}

// EnsureForTests builds Kubernetes and puts etcd beside it, where tests with a real API server look for both. It needs
// root only when etcd is missing.
func EnsureForTests(ctx context.Context, dir state.Dir, report *progress.Reporter) error {
	if err := debian.Ensure(ctx, io.Discard, absent([]requirement{etcd}, exists)...); err != nil {
		return err
	}
	if err := linkEtcd(dir); err != nil {
		return err
	}
	return EnsureKubernetes(ctx, dir, report)
}

// EnsureKubernetes builds Kubernetes unless it is up to date.
func EnsureKubernetes(ctx context.Context, dir state.Dir, report *progress.Reporter) error {
	return ensure(ctx, "Kubernetes "+KubernetesVersion, Kubernetes(dir), report)
}

// EnsureAll provides everything that a native node runs, when its packages are installed.
func EnsureAll(ctx context.Context, dir state.Dir, report *progress.Reporter) error {
	if err := EnsureKubernetes(ctx, dir, report); err != nil {
		return err
	}
	if err := linkEtcd(dir); err != nil {
		return err
	}
	return ensure(ctx, "CoreDNS", CoreDNS(dir), report)
}

func ensure(ctx context.Context, name string, program build.Program, report *progress.Reporter) error {
	return report.Step(name, func() error {
		_, err := program.Make(ctx, report)
		return err
	})
}

func linkEtcd(dir state.Dir) error {
	path, err := find(etcd.program)
	if err != nil {
		return fmt.Errorf("looking for etcd: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir.Bin("etcd")), 0o755); err != nil {
		return fmt.Errorf("making the directory for programs: %w", err)
	}
	return build.Link(path, dir.Bin("etcd"))
}

// absent returns the packages of the requirements whose program is not there.
func absent(requirements []requirement, there func(program string) bool) []string {
	var packages []string
	for _, r := range requirements {
		if !there(r.program) {
			packages = append(packages, r.deb)
		}
	}
	return packages
}

func exists(program string) bool {
	_, err := find(program)
	return err == nil
}

// find looks for a program in SearchPath.
func find(program string) (string, error) {
	if filepath.IsAbs(program) {
		return exec.LookPath(program)
	}
	for _, dir := range filepath.SplitList(SearchPath) {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
}
