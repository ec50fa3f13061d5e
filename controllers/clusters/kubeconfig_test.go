package clusters_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/mirubato/mirubato/controllers/clusters"
)

// kubeconfig is one that is taken, as changed.
func kubeconfig(t *testing.T, change func(*api.Config)) []byte {
	t.Helper()
	config := api.NewConfig()
	config.Clusters["west"] = &api.Cluster{Server: "https://west.example.com:6443"}
	config.AuthInfos["operator"] = &api.AuthInfo{Token: "s3cret-t0ken"}
	config.Contexts["default"] = &api.Context{Cluster: "west", AuthInfo: "operator"}
	config.CurrentContext = "default"
	if change != nil {
		change(config)
	}
	encoded, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestKubeconfigIsRead(t *testing.T) {
	config, err := clusters.Kubeconfig(kubeconfig(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://west.example.com:6443" || config.BearerToken != "s3cret-t0ken" {
		t.Errorf("it leads to %s", config.Host)
	}
}

func TestKubeconfigThatIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		content []byte
		change  func(*api.Config)
		want    string
	}{
		"no kubeconfig":     {content: []byte("s3cret-t0ken: ["), want: "cannot be read as one"},
		"one that is large": {content: []byte(strings.Repeat("#", 300<<10)), want: "is larger than 262144 bytes"},
		"no context":        {change: func(c *api.Config) { c.CurrentContext = "other" }, want: `no context "other"`},
		"no cluster":        {change: func(c *api.Config) { delete(c.Clusters, "west") }, want: `no cluster "west"`},
		"no user":           {change: func(c *api.Config) { delete(c.AuthInfos, "operator") }, want: `no user "operator"`},
		"a program": {change: func(c *api.Config) {
			c.AuthInfos["operator"] = &api.AuthInfo{Exec: &api.ExecConfig{Command: "/bin/sh", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: api.NeverExecInteractiveMode}}
		}, want: "a user with exec, and the operator starts no program: use a token or a client certificate"},
		"a plugin": {change: func(c *api.Config) {
			c.AuthInfos["operator"].AuthProvider = &api.AuthProviderConfig{Name: "gcp"}
		}, want: "a user with auth-provider"},
		"anybody's certificate": {change: func(c *api.Config) { c.Clusters["west"].InsecureSkipTLSVerify = true }, want: "insecure-skip-tls-verify"},
		"no encryption":         {change: func(c *api.Config) { c.Clusters["west"].Server = "http://west.example.com" }, want: "no https:// address"},
		"no address":            {change: func(c *api.Config) { c.Clusters["west"].Server = "" }, want: "no https:// address"},
		"a file of a token":     {change: func(c *api.Config) { c.AuthInfos["operator"].TokenFile = "/var/run/secrets/token" }, want: "names files"},
		"a file of a key":       {change: func(c *api.Config) { c.AuthInfos["operator"].ClientKey = "/etc/key" }, want: "names files"},
		"a file of authorities": {change: func(c *api.Config) { c.Clusters["west"].CertificateAuthority = "/etc/ca" }, want: "names files"},
		"nobody":                {change: func(c *api.Config) { c.AuthInfos["operator"] = &api.AuthInfo{} }, want: "a user without credentials"},
		"half a certificate": {change: func(c *api.Config) {
			c.AuthInfos["operator"] = &api.AuthInfo{ClientCertificateData: []byte("s3cret-t0ken")}
		}, want: "do not fit together"},
	} {
		t.Run(name, func(t *testing.T) {
			content := tc.content
			if content == nil {
				content = kubeconfig(t, tc.change)
			}
			_, err := clusters.Kubeconfig(content)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("err = %v, want %q", err, tc.want)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), "s3cret-t0ken") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
