package rights

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Granted returns what manifests grant to a ServiceAccount. A role that is bound to it and not among them is an error, and so is one that
// is put together from others: what it grants cannot be told.
func Granted(manifests io.Reader, account types.NamespacedName) ([]Right, error) {
	roles, bindings, err := read(manifests)
	if err != nil {
		return nil, err
	}
	var out []Right
	for _, b := range bindings {
		if !b.binds(account) {
			continue
		}
		of := roleKey{kind: b.RoleRef.Kind, name: b.RoleRef.Name}
		if of.kind == "Role" {
			of.namespace = b.Namespace
		}
		role, found := roles[of]
		if !found {
			return nil, fmt.Errorf("%s %s binds %s %s, which is not among the manifests", b.Kind, b.Name, of.kind, of.name)
		}
		if role.AggregationRule != nil {
			return nil, fmt.Errorf("%s %s is put together from other roles", of.kind, of.name)
		}
		for _, rule := range role.Rules {
			out = append(out, multiplied(rule, b.Namespace)...)
		}
	}
	return out, nil
}

type roleKey struct{ kind, namespace, name string }

// binding is either kind: the fields are the same, but that a ClusterRoleBinding has no namespace.
type binding rbacv1.RoleBinding

func (b binding) binds(account types.NamespacedName) bool {
	for _, subject := range b.Subjects {
		if subject.Kind == rbacv1.ServiceAccountKind && subject.Namespace == account.Namespace && subject.Name == account.Name {
			return true
		}
	}
	return false
}

// read picks the roles and their bindings. A Role is read as a ClusterRole, which has all that it has.
func read(manifests io.Reader) (map[roleKey]rbacv1.ClusterRole, []binding, error) {
	roles := map[roleKey]rbacv1.ClusterRole{}
	var bindings []binding
	documents := utilyaml.NewYAMLReader(bufio.NewReader(manifests))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return roles, bindings, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading the manifests: %w", err)
		}
		var of metav1.PartialObjectMetadata
		if err := yaml.Unmarshal(document, &of); err != nil {
			return nil, nil, fmt.Errorf("reading a manifest: %w", err)
		}
		switch of.Kind {
		case "ClusterRole", "Role":
			var role rbacv1.ClusterRole
			if err := yaml.UnmarshalStrict(document, &role); err != nil {
				return nil, nil, fmt.Errorf("reading %s %s: %w", of.Kind, of.Name, err)
			}
			roles[roleKey{kind: of.Kind, namespace: of.Namespace, name: of.Name}] = role
		case "ClusterRoleBinding", "RoleBinding":
			var b binding
			if err := yaml.UnmarshalStrict(document, &b); err != nil {
				return nil, nil, fmt.Errorf("reading %s %s: %w", of.Kind, of.Name, err)
			}
			bindings = append(bindings, b)
		}
	}
}

// multiplied takes a rule apart. A rule without names is for every object, and one with names has a right for each.
func multiplied(rule rbacv1.PolicyRule, namespace string) []Right {
	var out []Right
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, verb := range rule.Verbs {
		for _, path := range rule.NonResourceURLs {
			out = append(out, Right{Verb: verb, Path: path})
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					out = append(out, Right{Verb: verb, Group: group, Resource: resource, Name: name, Namespace: namespace})
				}
			}
		}
	}
	return out
}
