package node

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mirubato/mirubato/hack/localcluster/kubeconfig"
	"github.com/mirubato/mirubato/hack/localcluster/pki"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

// KubeletClient and Storage are users that Kubernetes grants nothing by itself; the cluster's manifests do.
const (
	// KubeletClient is the API server when it calls the kubelet, for logs, exec and port-forward.
	KubeletClient = "kube-apiserver-kubelet-client"
	// Storage makes directories for volume claims.
	Storage = "localcluster-storage"
)

// certificates lists every certificate by the name of its files. Users and groups that start with system: have the
// rights of that component from the start.
func certificates(settings Settings) map[string]pki.Request {
	node, service, loopback := net.IP(settings.NodeIP.AsSlice()), net.IP(settings.apiServiceIP().AsSlice()), net.IPv4(127, 0, 0, 1)
	return map[string]pki.Request{
		"kube-apiserver": {
			CommonName: "kube-apiserver",
			DNSNames: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			},
			IPs: []net.IP{node, service, loopback},
		},
		"kubelet-server":  {CommonName: Name, DNSNames: []string{Name}, IPs: []net.IP{node}},
		"kubelet-client":  {CommonName: KubeletClient},
		"etcd":            {CommonName: "etcd", DNSNames: []string{"localhost"}, IPs: []net.IP{loopback}},
		"etcd-client":     {CommonName: "kube-apiserver-etcd-client"},
		adminUser:         {CommonName: adminUser, Organizations: []string{"system:masters"}},
		"kubelet":         {CommonName: "system:node:" + Name, Organizations: []string{"system:nodes"}},
		controllerManager: {CommonName: "system:" + controllerManager},
		scheduler:         {CommonName: "system:" + scheduler},
		proxy:             {CommonName: "system:" + proxy},
		Storage:           {CommonName: Storage},
	}
}

const (
	adminUser           = "admin"
	frontProxy          = "front-proxy-client"
	frontProxyAuthority = "front-proxy-ca"
	controllerManager   = "kube-controller-manager"
	scheduler           = "kube-scheduler"
	proxy               = "kube-proxy"
	kubelet             = "kubelet"
)

// kubeconfigUsers are the components that reach the API server by a kubeconfig of their own.
var kubeconfigUsers = []string{kubelet, controllerManager, scheduler, proxy, Storage}

// writeCredentials makes an authority of this cluster's own and all that it signs.
func writeCredentials(dir state.Dir, settings Settings) error {
	authority, err := pki.NewAuthority(Name, time.Now())
	if err != nil {
		return err
	}
	ca, err := authority.Pair()
	if err != nil {
		return err
	}
	issued := map[string]pki.Pair{"ca": ca}
	for name, request := range certificates(settings) {
		if issued[name], err = authority.Issue(request); err != nil {
			return err
		}
	}
	private, public, err := pki.SigningKey()
	if err != nil {
		return err
	}
	issued["service-accounts"] = pki.Pair{Certificate: public, Key: private}
	if err := issueFrontProxy(issued); err != nil {
		return err
	}
	for name, pair := range issued {
		if err := writePair(dir.Cluster("pki", name), pair); err != nil {
			return err
		}
	}
	access := func(user string) kubeconfig.Access {
		return kubeconfig.Access{
			Cluster: Name, User: user, Server: settings.URL(), Authority: ca.Certificate, Client: issued[user],
		}
	}
	for _, user := range kubeconfigUsers {
		if err := kubeconfig.Write(dir.Cluster("kubeconfigs", user), access(user)); err != nil {
			return err
		}
	}
	return kubeconfig.Write(dir.Kubeconfig(), access(adminUser))
}

// issueFrontProxy adds what the API server shows to servers of further APIs. Its authority is another one, because whom
// it signs may speak for any user.
func issueFrontProxy(issued map[string]pki.Pair) error {
	authority, err := pki.NewAuthority(frontProxyAuthority, time.Now())
	if err != nil {
		return err
	}
	if issued[frontProxyAuthority], err = authority.Pair(); err != nil {
		return err
	}
	issued[frontProxy], err = authority.Issue(pki.Request{CommonName: frontProxy})
	return err
}

func writePair(path string, pair pki.Pair) error {
	if err := os.WriteFile(path+".crt", pair.Certificate, 0o644); err != nil {
		return fmt.Errorf("writing a certificate: %w", err)
	}
	if err := os.WriteFile(path+".key", pair.Key, 0o600); err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	return nil
}
