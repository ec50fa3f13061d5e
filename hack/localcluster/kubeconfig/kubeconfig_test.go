package kubeconfig

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/mirubato/mirubato/hack/localcluster/pki"
)

func TestWriteIsUsableAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "kubeconfig")
	for _, server := range []string{"https://100.64.7.2:6443", "https://100.64.8.2:6443"} {
		err := Write(path, Access{
			Cluster: "local", User: "admin", Server: server,
			Authority: []byte("authority"),
			Client:    pki.Pair{Certificate: []byte("certificate"), Key: []byte("key")},
		})
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		if config.Host != server || string(config.CAData) != "authority" ||
			string(config.CertData) != "certificate" || string(config.KeyData) != "key" {
			t.Errorf("read back %+v, want what was written for %s", config, server)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want only the owner to read it", info.Mode())
	}
}
