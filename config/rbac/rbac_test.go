package rbac_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/config/rbac"
)

// TestOtherClustersGiveTheSameRights, but for what stays at home. There, pods are reached through the API server.
func TestOtherClustersGiveTheSameRights(t *testing.T) {
	home, err := rbac.Rules()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := os.ReadFile(filepath.Join("..", "remote", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	remote := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(encoded, remote); err != nil {
		t.Fatal(err)
	}
	want := append(rights(home), " pods/portforward create")
	want = slices.DeleteFunc(want, func(right string) bool {
		return strings.HasPrefix(right, "platform.mirubato.com microservices") || strings.HasPrefix(right, "platform.mirubato.com releases") ||
			strings.HasPrefix(right, "events.k8s.io ")
	})
	slices.Sort(want)
	if diff := cmp.Diff(want, rights(remote.Rules)); diff != "" {
		t.Errorf("rights of config/remote/role.yaml (-want +got):\n%s", diff)
	}
}

// rights are group, resource and verb of each.
func rights(rules []rbacv1.PolicyRule) []string {
	var out []string
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out = append(out, group+" "+resource+" "+verb)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
