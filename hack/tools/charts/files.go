package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// policy makes Helm leave an object where it is when the chart is uninstalled.
const policy = "helm.sh/resource-policy"

// shared are the files of config that the templates read, by where they go.
var shared = map[string]map[string]string{
	"rbac": {
		"role.yaml":                 "rbac/role.yaml",
		"leader_election_role.yaml": "rbac/leader_election_role.yaml",
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
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	annotations := value(value(document.Content[0], "metadata"), "annotations")
	if annotations == nil {
		return nil, errors.New("metadata.annotations is missing")
	}
	annotations.Content = append(annotations.Content,
		&yaml.Node{Kind: yaml.ScalarNode, Value: policy}, &yaml.Node{Kind: yaml.ScalarNode, Value: "keep"})
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// value returns the value of a key of a mapping, or nil.
func value(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}
