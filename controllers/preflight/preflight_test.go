package preflight

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mirubato/mirubato/config/rbac"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestVersions(t *testing.T) {
	for version, want := range map[string]bool{
		"v1.29.9": false, "v1.30.0": true, "v1.30.0-alpha.1": true, "v1.33.4-gke.1245000": true, "v1.37.2+k3s1": true, "v2.0.0": true, "new": false,
	} {
		if err := newEnough(version); (err == nil) != want {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestRightsAreOfEachNamespace(t *testing.T) {
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "deployments/scale"}, Verbs: []string{"get", "patch"}},
	}
	for name, tc := range map[string]struct {
		rules            []rbacv1.PolicyRule
		namespaces, want []string
	}{
		"everywhere":              {rules, nil, []string{"get namespaces", "get deployments", "patch deployments", "get deployments/scale", "patch deployments/scale"}},
		"of a dashboard, limited": {dashboardRules(), []string{"a", "b"}, []string{"create tokenreviews", "create subjectaccessreviews"}},
		"in two namespaces": {rules, []string{"a", "b"}, []string{
			"get namespaces", "get deployments in a", "get deployments in b", "patch deployments in a", "patch deployments in b",
			"get deployments/scale in a", "get deployments/scale in b", "patch deployments/scale in a", "patch deployments/scale in b",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, right := range rightsOf(tc.rules, tc.namespaces) {
				got = append(got, describe(right))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHeldLease(t *testing.T) {
	lease := func(holder string, ago time.Duration) coordinationv1.LeaseSpec {
		return coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: new(int32(15)), RenewTime: &metav1.MicroTime{Time: now.Add(-ago)},
		}
	}
	for name, tc := range map[string]struct {
		lease coordinationv1.LeaseSpec
		want  string
	}{
		"renewed just now":     {lease("pod", time.Second), ""},
		"renewed at the limit": {lease("pod", 15*time.Second), ""},
		"not renewed in time":  {lease("pod", 16*time.Second), "pod has not renewed the Lease"},
		"given back":           {lease("", time.Second), "was given back"},
		"never taken":          {coordinationv1.LeaseSpec{}, "was given back"},
	} {
		t.Run(name, func(t *testing.T) {
			err := held(tc.lease, client.ObjectKey{Namespace: "system", Name: "lease"}, now)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
		})
	}
}

// TestCheckOnARealServer asks a cluster that lacks everything, and then, as the operator, one that lacks nothing.
func TestCheckOnARealServer(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS does not name the directory of kube-apiserver and etcd: run these tests by make test")
	}
	ctx := t.Context()
	log.SetLogger(logr.Discard()) // failures are told by the test
	server := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	config, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(config, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	asked := cluster(t, server, "operator")

	expect(t, Check(ctx, asked), []string{
		"", "missing: apply the CRDs of this version", "missing: create configmaps, delete configmaps, get configmaps, and ", "reading the Lease default/mirubato-operator",
	})

	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{filepath.Join("..", "..", "config", "crd", "bases")}}); err != nil {
		t.Fatal(err)
	}
	grant(ctx, t, admin, "operator")
	expect(t, Check(ctx, asked), []string{"", "", "", "none has taken the Lease default/mirubato-operator"})

	holder := "pod"
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mirubato-operator"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: new(int32(15)), RenewTime: &metav1.MicroTime{Time: now}},
	}
	if err := admin.Create(ctx, lease); err != nil {
		t.Fatal(err)
	}
	expect(t, Check(ctx, asked), []string{"", "", "", ""})

	asked.Dashboard = true
	expect(t, Check(ctx, asked), []string{"", "", "missing: create tokenreviews, create subjectaccessreviews", ""})
}

// cluster is what a user without any right sees.
func cluster(t *testing.T, server *envtest.Environment, name string) Cluster {
	t.Helper()
	user, err := server.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := client.New(user.Config(), client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	discovered, err := discovery.NewDiscoveryClientForConfig(user.Config())
	if err != nil {
		t.Fatal(err)
	}
	return Cluster{
		Client: asked, Discovery: discovered, Lease: client.ObjectKey{Namespace: "default", Name: "mirubato-operator"},
		Now: func() time.Time { return now },
	}
}

// grant gives a user the operator's rights, and returns when the API server knows of them.
func grant(ctx context.Context, t *testing.T, admin client.Client, user string) {
	t.Helper()
	rules, err := rbac.Rules()
	if err != nil {
		t.Fatal(err)
	}
	lease := rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: append(rules, lease)}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := admin.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	for {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "default", Group: lease.APIGroups[0], Resource: lease.Resources[0], Verb: "get"},
		}}
		if err := admin.Create(ctx, review); err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed {
			return
		}
		time.Sleep(50 * time.Millisecond) // until the API server's own watch has brought the role
	}
}

// expect compares the problems of findings with a part of each, empty for none.
func expect(t *testing.T, findings []Finding, want []string) {
	t.Helper()
	if len(findings) != len(want) {
		t.Fatalf("%d findings, want %d", len(findings), len(want))
	}
	for i, finding := range findings {
		if told := fmt.Sprint(finding.Problem); finding.Problem == nil && want[i] != "" || finding.Problem != nil && (want[i] == "" || !strings.Contains(told, want[i])) {
			t.Errorf("%s: %v, want %q", finding.Subject, finding.Problem, want[i])
		}
	}
}
