package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/mirubato/mirubato/hack/tools/document"
)

// policy makes Helm leave an object where it is when the chart is uninstalled.
const policy = "helm.sh/resource-policy"

// shared are the files of config that the templates read, by where they go.
var shared = map[string]map[string]string{
	"rbac": {
		"role.yaml":                 "rbac/role.yaml",
		"leader_election_role.yaml": "rbac/leader_election_role.yaml",
		"settings_key_role.yaml":    "rbac/settings_key_role.yaml",
		"user_roles.yaml":           "rbac/user_roles.yaml",
	},
	"admission": {
		"approver.yaml":        "admission/approver.yaml",
		"approval_status.yaml": "admission/approval_status.yaml",
		"author.yaml":          "admission/author.yaml",
		"record_author.yaml":   "admission/author/author.yaml",
	},
}

func copyFiles(config, to string) error {
	for dir, names := range shared {
		files := map[string][]byte{}
		for name, from := range names {
			content, err := os.ReadFile(filepath.Join(config, from))
			if err != nil {
				return err
			}
			files[name] = content
		}
		if err := putAll(filepath.Join(to, dir), files); err != nil {
			return err
		}
	}
	return nil
}

// writeCRDs copies the CRDs with the annotation by which they outlive the chart: with a CRD all of its objects would go.
func writeCRDs(config, to string) error {
	names, err := filepath.Glob(filepath.Join(config, "crd", "bases", "*.yaml"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("there are no CRDs in config/crd/bases")
	}
	files := map[string][]byte{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if files[filepath.Base(name)], err = keep(content); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return putAll(to, files)
}

// keep adds the annotation to an object, and leaves the rest of the text as package crd writes it.
func keep(content []byte) ([]byte, error) {
	return document.Change(content, func(object *yaml.Node) error {
		annotations := document.Value(document.Value(object.Content[0], "metadata"), "annotations")
		if annotations == nil {
			return errors.New("metadata.annotations is missing")
		}
		annotations.Content = append(annotations.Content,
			&yaml.Node{Kind: yaml.ScalarNode, Value: policy}, &yaml.Node{Kind: yaml.ScalarNode, Value: "keep"})
		return nil
	})
}
