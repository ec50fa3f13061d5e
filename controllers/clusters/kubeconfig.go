package clusters

import (
	"errors"
	"fmt"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// maxKubeconfig is in bytes.
const maxKubeconfig = 256 << 10

// Kubeconfig reads the present context of a kubeconfig. Whoever may write a Secret must not be able to have the operator start a
// program, read one of its own files, or send credentials to somebody that it cannot tell from the API server: all that is refused.
// The error says what is wrong and holds nothing that is secret.
func Kubeconfig(content []byte) (*rest.Config, error) {
	if len(content) > maxKubeconfig {
		return nil, fmt.Errorf("the kubeconfig is larger than %d bytes", maxKubeconfig)
	}
	parsed, err := clientcmd.Load(content)
	if err != nil {
		return nil, errors.New("the kubeconfig cannot be read as one") // what the parser says may quote it
	}
	context, ok := parsed.Contexts[parsed.CurrentContext]
	if !ok {
		return nil, fmt.Errorf("the kubeconfig has no context %q, which current-context names", parsed.CurrentContext)
	}
	cluster, ok := parsed.Clusters[context.Cluster]
	if !ok {
		return nil, fmt.Errorf("the kubeconfig has no cluster %q, which its context names", context.Cluster)
	}
	user, ok := parsed.AuthInfos[context.AuthInfo]
	if !ok {
		return nil, fmt.Errorf("the kubeconfig has no user %q, which its context names", context.AuthInfo)
	}
	for _, rule := range refusals {
		if problem := rule(cluster, user); problem != "" {
			return nil, fmt.Errorf("the kubeconfig %s", problem)
		}
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*parsed, parsed.CurrentContext, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, errors.New("the kubeconfig leads nowhere: its certificates, keys or names do not fit together")
	}
	return config, nil
}

// refusals each say what a kubeconfig must not have, or nothing.
var refusals = []func(*api.Cluster, *api.AuthInfo) string{
	func(_ *api.Cluster, u *api.AuthInfo) string {
		if u.Exec != nil {
			return "has a user with exec, and the operator starts no program: use a token or a client certificate"
		}
		return ""
	},
	func(_ *api.Cluster, u *api.AuthInfo) string {
		if u.AuthProvider != nil {
			return "has a user with auth-provider, and the operator has none: use a token or a client certificate"
		}
		return ""
	},
	func(c *api.Cluster, _ *api.AuthInfo) string {
		if c.InsecureSkipTLSVerify {
			return "has insecure-skip-tls-verify, which would give the credentials to anybody: use certificate-authority-data"
		}
		return ""
	},
	func(c *api.Cluster, _ *api.AuthInfo) string {
		if server, err := url.Parse(c.Server); err != nil || server.Scheme != "https" || server.Host == "" {
			return "has a server that is no https:// address"
		}
		return ""
	},
	func(c *api.Cluster, u *api.AuthInfo) string {
		if c.CertificateAuthority != "" || u.ClientCertificate != "" || u.ClientKey != "" || u.TokenFile != "" {
			return "names files, which are not there for the operator: use certificate-authority-data, client-certificate-data, client-key-data and token"
		}
		return ""
	},
	func(_ *api.Cluster, u *api.AuthInfo) string {
		if u.Token == "" && len(u.ClientCertificateData) == 0 && u.Username == "" {
			return "has a user without credentials: use a token or a client certificate"
		}
		return ""
	},
}
