package node

import "path/filepath"

// component is one program that the node runs for as long as it lives.
type component struct {
	name string
	path string
	args []string
	// afterAPI says that the program is of no use before the API server answers.
	afterAPI bool
}

// components lists everything a node runs, in the order in which it is started.
func components(s Settings) []component {
	return []component{
		{name: "containerd", path: "containerd", args: []string{"--config", inside("config", "containerd.toml")}},
		{name: "etcd", path: filepath.Join(root, "bin", "etcd"), args: etcdFlags()},
		{name: "kube-apiserver", path: filepath.Join(root, "bin", "kube-apiserver"), args: apiServerFlags(s)},
		{name: controllerManager, path: filepath.Join(root, "bin", controllerManager), args: controllerManagerFlags(s), afterAPI: true},
		{name: scheduler, path: filepath.Join(root, "bin", scheduler), args: schedulerFlags(), afterAPI: true},
		{name: proxy, path: filepath.Join(root, "bin", proxy), args: proxyFlags(s), afterAPI: true},
		{name: kubelet, path: filepath.Join(root, "bin", kubelet), args: kubeletFlags(s), afterAPI: true},
		{name: "storage", path: inside("localcluster"), args: storageFlags(), afterAPI: true},
	}
}

// AuditLog is the name of the API server's audit log, beside the logs of the components.
const AuditLog = "audit.log"

const etcdURL = "https://127.0.0.1:2379"

// etcdFlags leaves out syncing to disk: the data is thrown away with the cluster, and starting is a second faster.
func etcdFlags() []string {
	const peers = "http://127.0.0.1:2380" // the only member; nothing else is in this network namespace's loopback
	return []string{
		"--data-dir=" + inside("etcd"),
		"--unsafe-no-fsync",
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers, "--initial-cluster=default=" + peers,
		"--client-cert-auth", "--trusted-ca-file=" + certificate("ca"),
		"--cert-file=" + certificate("etcd"), "--key-file=" + key("etcd"),
	}
}

func apiServerFlags(s Settings) []string {
	return []string{
		"--advertise-address=" + s.NodeIP.String(),
		"--bind-address=0.0.0.0",
		"--secure-port=" + APIPort,
		"--tls-cert-file=" + certificate("kube-apiserver"), "--tls-private-key-file=" + key("kube-apiserver"),
		"--client-ca-file=" + certificate("ca"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + s.Services.String(),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + certificate("service-accounts"),
		"--service-account-signing-key-file=" + key("service-accounts"),
		"--etcd-servers=" + etcdURL,
		"--etcd-cafile=" + certificate("ca"),
		"--etcd-certfile=" + certificate("etcd-client"), "--etcd-keyfile=" + key("etcd-client"),
		"--kubelet-certificate-authority=" + certificate("ca"),
		"--kubelet-client-certificate=" + certificate("kubelet-client"), "--kubelet-client-key=" + key("kubelet-client"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + certificate(frontProxyAuthority),
		"--requestheader-allowed-names=" + frontProxy,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + certificate(frontProxy), "--proxy-client-key-file=" + key(frontProxy),
		"--endpoint-reconciler-type=lease",
		// Two files at most: what is older than the last hundred megabytes or so is dropped.
		"--audit-policy-file=" + inside("config", "audit.yaml"),
		"--audit-log-path=" + inside("logs", AuditLog), "--audit-log-maxsize=100", "--audit-log-maxbackup=1",
	}
}

func controllerManagerFlags(s Settings) []string {
	return append(clientFlags(controllerManager),
		"--cluster-cidr="+s.Pods.String(),
		"--service-account-private-key-file="+key("service-accounts"),
		"--root-ca-file="+certificate("ca"),
		"--cluster-signing-cert-file="+certificate("ca"), "--cluster-signing-key-file="+key("ca"),
		"--use-service-account-credentials=true",
		"--flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins",
		// Each of the controllers asks a few things before it works; at the usual pace that alone takes five seconds.
		"--kube-api-qps=200", "--kube-api-burst=400",
	)
}

func schedulerFlags() []string { return clientFlags(scheduler) }

// clientFlags are those of a controller: there is one of each, so none has to be elected.
func clientFlags(user string) []string {
	config := inside("kubeconfigs", user)
	return []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	}
}

// proxyFlags keeps kube-proxy from the limits of connection tracking, which hold for the whole machine.
func proxyFlags(s Settings) []string {
	return []string{
		"--kubeconfig=" + inside("kubeconfigs", proxy),
		"--hostname-override=" + Name,
		"--proxy-mode=nftables",
		"--cluster-cidr=" + s.Pods.String(),
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249",
	}
}

func kubeletFlags(s Settings) []string {
	return []string{
		"--config=" + inside("config", "kubelet.yaml"),
		"--kubeconfig=" + inside("kubeconfigs", kubelet),
		"--hostname-override=" + Name,
		"--node-ip=" + s.NodeIP.String(),
	}
}

func storageFlags() []string {
	return []string{
		"storage", "--state=" + root, "--kubeconfig=" + inside("kubeconfigs", Storage), "--directory=" + inside("volumes"), "--node=" + Name,
	}
}

func certificate(name string) string { return inside("pki", name+".crt") }

func key(name string) string { return inside("pki", name+".key") }
