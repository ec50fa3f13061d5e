package addons

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestObjects(t *testing.T) {
	objects, err := Objects(Values{
		DNS: netip.MustParseAddr("10.96.0.10"), DNSImage: "coredns:1", KubeletClient: "kubelet-client",
		StorageUser: "storage", Provisioner: "example.com/directory",
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, object := range objects {
		names = append(names, object.GetKind()+"/"+object.GetName())
	}
	for _, want := range []string{
		"Service/kube-dns", "Deployment/coredns", "StorageClass/standard", "ClusterRoleBinding/localcluster-kubelet-api",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
	service := objects[slices.Index(names, "Service/kube-dns")]
	ip, _, err := unstructured.NestedString(service.Object, "spec", "clusterIP")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("10.96.0.10", ip); diff != "" {
		t.Errorf("cluster IP of the DNS server (-want +got):\n%s", diff)
	}
}

func TestIsReady(t *testing.T) {
	for name, tc := range map[string]struct {
		conditions []corev1.NodeCondition
		want       bool
	}{
		"nothing was reported yet":  {},
		"the kubelet says so":       {conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}, want: true},
		"the kubelet went silent":   {conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}},
		"another condition is true": {conditions: []corev1.NodeCondition{{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isReady(corev1.Node{Status: corev1.NodeStatus{Conditions: tc.conditions}}); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
