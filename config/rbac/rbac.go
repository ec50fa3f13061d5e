// Package rbac is the operator's rights as they are installed, for programs that have to know them. It grants nothing: the files
// beside it do, and role.yaml is generated from the markers of the controllers.
package rbac

import (
	_ "embed"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

//go:embed role.yaml
var role []byte

// Rules are what the operator may do, in every namespace that it works in.
func Rules() ([]rbacv1.PolicyRule, error) {
	out := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(role, out); err != nil {
		return nil, fmt.Errorf("reading the operator's role: %w", err)
	}
	return out.Rules, nil
}
