package debian

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissing(t *testing.T) {
	present := parseInstalled([]byte("runc installed\nsocat config-files\nnftables installed\n"))
	for name, tc := range map[string]struct{ wanted, want []string }{
		"all are there":                      {wanted: []string{"runc", "nftables"}},
		"one was never there":                {wanted: []string{"runc", "conntrack"}, want: []string{"conntrack"}},
		"one was removed, its settings stay": {wanted: []string{"socat", "nftables"}, want: []string{"socat"}},
		"nothing is wanted":                  {},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, missing(present, tc.wanted)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestInstallArguments(t *testing.T) {
	want := []string{"install", "--yes", "--quiet", "--no-install-recommends", "--", "etcd-server"}
	if diff := cmp.Diff(want, installArguments([]string{"etcd-server"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServiceUnits(t *testing.T) {
	files := "/.\n/lib/systemd/system\n/lib/systemd/system/containerd.service\n/lib/systemd/system/postgresql@.service\n" +
		"/usr/lib/systemd/system/etcd.socket\n/usr/share/doc/etcd/examples/etcd.service\n"
	if diff := cmp.Diff([]string{"containerd.service", "etcd.socket"}, serviceUnits([]byte(files))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestForbidServices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy-rc.d")
	restore, err := forbidServices(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("the policy cannot be run: %v, %v", info, err)
	}
	restore()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the policy stayed: %v", err)
	}

	if err := os.WriteFile(path, []byte("the owner's\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	restore, err = forbidServices(path)
	if err != nil {
		t.Fatal(err)
	}
	restore()
	if text, err := os.ReadFile(path); err != nil || string(text) != "the owner's\n" {
		t.Errorf("the owner's policy became %q, %v", text, err)
	}
}
