// Package addons is what a bare API server lacks to be a cluster that people expect: the DNS server, the default
// StorageClass and the rights of the components that Kubernetes grants nothing by itself. It owns those objects.
package addons

import (
	"context"
	"embed"
	"fmt"
	"net/netip"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/hack/localcluster/manifest"
)

//go:embed manifests
var manifests embed.FS

// Values fill in the manifests.
type Values struct {
	// DNS is the cluster IP of the DNS server.
	DNS netip.Addr
	// DNSImage is its image.
	DNSImage string
	// KubeletClient is the user as which the API server calls the kubelet, StorageUser the one that serves claims.
	KubeletClient, StorageUser string
	// Provisioner is the name by which the default StorageClass asks for volumes.
	Provisioner string
}

// Objects returns everything, in the order in which it is to be applied.
func Objects(values Values) ([]*unstructured.Unstructured, error) {
	return manifest.Render(manifests, "manifests/*.yaml", values)
}

// AwaitNode returns when every node is ready, and there is at least one.
func AwaitNode(ctx context.Context, c client.Client, timeout time.Duration) error {
	return manifest.Wait(ctx, timeout, "the node to be ready", func(ctx context.Context) (bool, error) {
		ready, unready, err := Nodes(ctx, c)
		return len(ready) > 0 && len(unready) == 0, err
	})
}

// Nodes returns the names of the nodes by readiness.
func Nodes(ctx context.Context, c client.Client) (ready, unready []string, err error) {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return nil, nil, fmt.Errorf("listing nodes: %w", err)
	}
	for _, node := range nodes.Items {
		if isReady(node) {
			ready = append(ready, node.Name)
		} else {
			unready = append(unready, node.Name)
		}
	}
	return ready, unready, nil
}

func isReady(node corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// AwaitDNS returns when the DNS server answers.
func AwaitDNS(ctx context.Context, c client.Client, timeout time.Duration) error {
	return manifest.Wait(ctx, timeout, "cluster DNS", func(ctx context.Context) (bool, error) { return DNSReady(ctx, c) })
}

// DNSReady tells whether the DNS server answers.
func DNSReady(ctx context.Context, c client.Client) (bool, error) {
	var dns appsv1.Deployment
	if err := c.Get(ctx, client.ObjectKey{Namespace: "kube-system", Name: "coredns"}, &dns); err != nil {
		return false, fmt.Errorf("reading the Deployment of the DNS server: %w", err)
	}
	return dns.Status.ObservedGeneration == dns.Generation && dns.Status.AvailableReplicas > 0 &&
		dns.Status.UpdatedReplicas == dns.Status.Replicas, nil
}
