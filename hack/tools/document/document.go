// Package document changes YAML documents, and writes them in the one form that the generated files of this project have.
//
// It owns that form, so that a file which one generator takes from another stays the same but for what it adds. What is changed is
// the generators' affair.
package document

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// Change returns a document after a change. Comments and the order of keys stay.
func Change(text []byte, change func(*yaml.Node) error) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	if err := change(&node); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&node); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// Value returns what a key stands for in a mapping, or nil, also if the node is none.
func Value(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
