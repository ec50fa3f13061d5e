// Package kubeconfig writes the files with which components and people reach the API server of a local cluster. It owns
// the shape of those files, not the certificates in them.
package kubeconfig

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/mirubato/mirubato/hack/localcluster/pki"
)

// Access is what a kubeconfig holds. Certificates are embedded, so that the file can be copied elsewhere.
type Access struct {
	// Cluster and User name the entries; together they name the context.
	Cluster, User string
	// Server is the URL of the API server.
	Server string
	// Authority is the PEM certificate by which the server is recognised.
	Authority []byte
	// Client is the certificate by which the user is.
	Client pki.Pair
}

// Write stores a as a kubeconfig at path, readable by the owner only. A file that is there is replaced in one move, so
// that a reader sees the old or the new one.
func Write(path string, a Access) error {
	data, err := clientcmd.Write(config(a))
	if err != nil {
		return fmt.Errorf("encoding the kubeconfig of %s: %w", a.User, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the directory of %s: %w", path, err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", a.User, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("putting the kubeconfig of %s in place: %w", a.User, err)
	}
	return nil
}

func config(a Access) clientcmdapi.Config {
	context := a.User + "@" + a.Cluster
	return clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			a.Cluster: {Server: a.Server, CertificateAuthorityData: a.Authority},
		},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			a.User: {ClientCertificateData: a.Client.Certificate, ClientKeyData: a.Client.Key},
		},
		Contexts: map[string]*clientcmdapi.Context{
			context: {Cluster: a.Cluster, AuthInfo: a.User},
		},
		CurrentContext: context,
	}
}
