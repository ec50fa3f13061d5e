package charts_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// TestDefaultsAreConfigDefault builds config/default, and the ServiceMonitor beside it, and expects the chart to render the same.
func TestDefaultsAreConfigDefault(t *testing.T) {
	want := map[string]map[string]any{}
	for _, directory := range []string{"default", "prometheus"} {
		for _, object := range kustomized(t, filepath.Join("..", "config", directory)) {
			// Helm makes the namespace, or the administrator does. Alerts and dashboards are not of the chart.
			if object.GetKind() != "Namespace" && (directory == "default" || object.GetKind() == "ServiceMonitor") {
				want[key(object)] = plain(object)
			}
		}
	}
	got := map[string]map[string]any{}
	r := mustRender(t, operatorChart, parse(t, `metrics: {serviceMonitor: {enabled: true}}`), kubernetes)
	for _, object := range r.objects(t) {
		if _, hook := object.GetAnnotations()["helm.sh/hook"]; !hook {
			got[key(object)] = plain(object)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("objects (-config/default +chart):\n%s", diff)
	}
	for name := range want {
		if diff := cmp.Diff(want[name], got[name]); got[name] != nil && diff != "" {
			t.Errorf("%s (-config/default +chart):\n%s", name, diff)
		}
	}
}

// kustomized is what kubectl apply -k sends.
func kustomized(t testing.TB, directory string) []*unstructured.Unstructured {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	documents, err := split(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return rendering{documents: documents}.objects(t)
}

// plain leaves out what only says who installed the object.
func plain(object *unstructured.Unstructured) map[string]any {
	out := object.DeepCopy()
	labels, annotations := out.GetLabels(), out.GetAnnotations()
	for name := range labels {
		if strings.HasPrefix(name, "app.kubernetes.io/") || strings.HasPrefix(name, "helm.sh/") {
			delete(labels, name)
		}
	}
	for name := range annotations {
		if strings.HasPrefix(name, "helm.sh/") {
			delete(annotations, name)
		}
	}
	for name, left := range map[string]map[string]string{"labels": labels, "annotations": annotations} {
		unstructured.RemoveNestedField(out.Object, "metadata", name)
		if len(left) > 0 {
			out.Object["metadata"].(map[string]any)[name] = left
		}
	}
	return out.Object
}

// TestLimitedOperatorHasRightsInItsNamespacesOnly adds up what the ServiceAccount is granted.
func TestLimitedOperatorHasRightsInItsNamespacesOnly(t *testing.T) {
	r := mustRender(t, operatorChart, parse(t, `namespaces: [team-a, team-b]`), kubernetes)
	everywhere := find(t, r, "ClusterRole", "mirubato-operator-mirubato-system-namespaces")
	want := []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"namespaces"}, "verbs": []any{"get", "list", "watch"}}}
	if diff := cmp.Diff(want, everywhere.Object["rules"]); diff != "" {
		t.Errorf("rights everywhere (-want +got):\n%s", diff)
	}
	bindings := map[string][]string{}
	for _, object := range r.objects(t) {
		if role, _, _ := unstructured.NestedString(object.Object, "roleRef", "name"); role != "" {
			place := object.GetKind() + " in " + object.GetNamespace()
			bindings[place] = append(bindings[place], role)
		}
	}
	if diff := cmp.Diff(map[string][]string{
		"ClusterRoleBinding in ":         {"mirubato-operator-mirubato-system-namespaces"},
		"RoleBinding in team-a":          {"mirubato-operator-mirubato-system"},
		"RoleBinding in team-b":          {"mirubato-operator-mirubato-system"},
		"RoleBinding in mirubato-system": {"mirubato-operator-leader-election", "mirubato-operator-settings-key"},
	}, bindings); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	for _, name := range []string{"mirubato-approver", "mirubato-approval-status", "mirubato-author"} {
		bound := find(t, r, "ValidatingAdmissionPolicyBinding", name+"-mirubato-system")
		if policy, _, _ := unstructured.NestedString(bound.Object, "spec", "policyName"); policy != bound.GetName() {
			t.Errorf("%s binds %s", bound.GetName(), policy)
		}
		policy := find(t, r, "ValidatingAdmissionPolicy", bound.GetName())
		selector, _, _ := unstructured.NestedMap(policy.Object, "spec", "matchConstraints", "namespaceSelector")
		if diff := cmp.Diff(map[string]any{"matchExpressions": []any{
			map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"team-a", "team-b"}},
		}}, selector); diff != "" {
			t.Errorf("namespaces of %s (-want +got):\n%s", policy.GetName(), diff)
		}
	}
}

// TestDashboardBringsItsRightsAndNothingElse adds up what changes when it is switched on, also for an operator that is limited.
func TestDashboardBringsItsRightsAndNothingElse(t *testing.T) {
	for name, tc := range map[string]struct{ given, suffix string }{
		"everywhere": {``, ""}, "in namespaces": {`namespaces: [team-a]`, "-mirubato-system"},
	} {
		t.Run(name, func(t *testing.T) {
			off := map[string]map[string]any{}
			for _, object := range mustRender(t, operatorChart, parse(t, tc.given), kubernetes).objects(t) {
				off[key(object)] = object.Object
			}
			on := mustRender(t, operatorChart, parse(t, tc.given+"\ndashboard: {enabled: true, tlsSecretName: dashboard-tls}"), kubernetes)
			var added, changed []string
			for _, object := range on.objects(t) {
				if before := off[key(object)]; before == nil {
					added = append(added, object.GetKind()+" "+object.GetName())
				} else if !cmp.Equal(before, object.Object) {
					changed = append(changed, object.GetKind()+" "+object.GetName())
				}
			}
			slices.Sort(added)
			slices.Sort(changed)
			role := "mirubato-operator-dashboard" + tc.suffix
			if diff := cmp.Diff([]string{"ClusterRole " + role, "ClusterRoleBinding " + role, "Service mirubato-operator-dashboard"}, added); diff != "" {
				t.Errorf("added (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"Deployment mirubato-operator", "NetworkPolicy mirubato-operator", "Pod mirubato-operator-check"}, changed); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
			want := []any{
				map[string]any{"apiGroups": []any{"authentication.k8s.io"}, "resources": []any{"tokenreviews"}, "verbs": []any{"create"}},
				map[string]any{"apiGroups": []any{"authorization.k8s.io"}, "resources": []any{"subjectaccessreviews"}, "verbs": []any{"create"}},
			}
			if diff := cmp.Diff(want, find(t, on, "ClusterRole", role).Object["rules"]); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPoliciesNeedTheirKubernetes: a kind that the cluster does not know would keep all of the chart out of it.
func TestPoliciesNeedTheirKubernetes(t *testing.T) {
	for version, want := range map[string]bool{"v1.30.0": false, "v1.35.4-gke.1200": false, "v1.36.0": true, "v1.36.1-eks-abc": true, "v1.37.0": true} {
		r := mustRender(t, operatorChart, nil, version)
		if got := find(t, r, "MutatingAdmissionPolicy", "mirubato-author") != nil; got != want {
			t.Errorf("Kubernetes %s: MutatingAdmissionPolicy %t, want %t", version, got, want)
		}
		if told := strings.Contains(r.notes, "does not record who changed"); told == want {
			t.Errorf("Kubernetes %s: the notes tell\n%s", version, r.notes)
		}
	}
}

// TestMemoryLeavesTheCollectorRoom: three quarters, and nothing where that cannot be told.
func TestMemoryLeavesTheCollectorRoom(t *testing.T) {
	for given, want := range map[string]string{
		`{}`: "192MiB", `resources: {limits: {memory: 1Gi}}`: "768MiB", `resources: {limits: {memory: 500M}}`: "", `resources: null`: "",
		`resources: {limits: {memory: 1000Mi}}`: "750MiB",
	} {
		got := ""
		deployment := find(t, mustRender(t, operatorChart, parse(t, given), kubernetes), "Deployment", "mirubato-operator")
		containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
		if err != nil {
			t.Fatal(err)
		}
		for _, variable := range containers[0].(values)["env"].([]any) {
			if variable := variable.(values); variable["name"] == "GOMEMLIMIT" {
				got = variable["value"].(string)
			}
		}
		if got != want {
			t.Errorf("%s: GOMEMLIMIT is %q, want %q", given, got, want)
		}
	}
}
