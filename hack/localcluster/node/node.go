// Package node is the inside of a native cluster: one machine's worth of Kubernetes in namespaces of its own. It owns
// the files that the components read, the mounts and addresses that they see, and the first process, which starts them
// and starts again whichever ends.
//
// Everything runs below that first process in its own PID, mount and network namespace, so that killing it ends all of
// them and takes their mounts, interfaces and firewall rules along:
//
//	machine                         | node (own processes, mounts, network)
//	mirubato0 100.64.7.1 -----------+- eth0 100.64.7.2    pods 10.244.0.0/16, one veth pair each
//	routes to pods and Services     | firewall rules of kube-proxy for 10.96.0.0/16
//	<checkout>/.local --------------+- /run/mirubato
package node

import (
	"net/netip"
	"path/filepath"
)

// Name is the name of the node, and of the cluster in kubeconfigs.
const Name = "mirubato"

// APIPort is the port of the API server at the node's address.
const APIPort = "6443"

// ContainerdSocket is the address of containerd inside the node. From outside it is below /proc/<pid>/root.
const ContainerdSocket = "/run/containerd/containerd.sock"

// PauseVersion is the tag of the image that holds a pod's namespaces open. It must be loaded before the first pod starts.
const PauseVersion = "1"

// Audited is the user whose requests the API server writes down: the operator.
const Audited = "system:serviceaccount:mirubato-system:mirubato-operator"

// root is the state directory as seen from inside, short because the path of a socket may have 107 characters only.
const root = "/run/mirubato"

// Settings are what differs from node to node.
type Settings struct {
	NodeIP    netip.Addr   `json:"nodeIP"`
	MachineIP netip.Addr   `json:"machineIP"`
	Link      netip.Prefix `json:"link"`
	Pods      netip.Prefix `json:"pods"`
	Services  netip.Prefix `json:"services"`
	// Cgroup is the cgroup of all pods, as a path from the root of a hierarchy.
	Cgroup string `json:"cgroup"`
}

// DNS is the cluster IP of the DNS server.
func (s Settings) DNS() netip.Addr {
	addr := s.Services.Masked().Addr()
	for range 10 {
		addr = addr.Next()
	}
	return addr
}

// apiServiceIP is the cluster IP of the API server: Kubernetes takes the first.
func (s Settings) apiServiceIP() netip.Addr { return s.Services.Masked().Addr().Next() }

// URL is where the API server is reached, from the machine as from the node.
func (s Settings) URL() string {
	return "https://" + netip.AddrPortFrom(s.NodeIP, 6443).String()
}

func inside(elem ...string) string {
	return filepath.Join(append([]string{root, "cluster"}, elem...)...)
}
