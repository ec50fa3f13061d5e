// Command crd writes the CRDs of controller-gen as this project ships them: crd DIRECTORY
//
// It owns the form of the files and nothing of what they accept. A CRD is sent to every client that asks for it, and
// whoever applies it on the client's side keeps a copy in an annotation. So that neither grows out of hand, a field whose own
// fields have none stands on one line, as does what is documented elsewhere, and everything is documented once: what
// spec.environments[].overrides repeats of the spec, in the spec; fields that several fields have alike, such as those of a
// reference to a Secret, where they stand first; the single settings in docs/settings.md; and what every object of Kubernetes
// has, its conditions included, in one sentence.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mirubato/mirubato/hack/tools/document"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crd:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: crd DIRECTORY")
	}
	files, err := filepath.Glob(filepath.Join(args[0], "*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := rewrite(file); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

func rewrite(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out, err := compact(text)
	if err != nil {
		return err
	}
	return os.WriteFile(file, out, 0o644)
}

// compact returns the same object, apart from descriptions.
func compact(text []byte) ([]byte, error) {
	return document.Change(text, func(node *yaml.Node) error {
		documentOnce(node)
		documentBriefly(node)
		documentFirst(node, map[string]bool{})
		shorten(node)
		return nil
	})
}

// documentOnce takes the descriptions out of what overrides has in common with the spec, and out of the single settings.
// Those of overrides itself and of its groups stay: they say what an override changes.
func documentOnce(node *yaml.Node) {
	for _, group := range members(document.Value(document.Value(node, "overrides"), "properties")) {
		forgetDescriptions(document.Value(group, "properties"))
	}
	forgetDescriptions(document.Value(document.Value(node, "settings"), "properties"))
	for _, child := range node.Content {
		documentOnce(child)
	}
}

// documentBriefly leaves the first sentence of what Kubernetes documents itself.
func documentBriefly(node *yaml.Node) {
	for _, common := range []string{"apiVersion", "kind"} {
		cutDescriptions(document.Value(document.Value(node, "properties"), common))
	}
	cutDescriptions(document.Value(document.Value(document.Value(node, "conditions"), "items"), "properties"))
	for _, child := range node.Content {
		documentBriefly(child)
	}
}

// documentFirst takes the descriptions out of fields that stand in the same words in seen, or before them in node.
func documentFirst(node *yaml.Node, seen map[string]bool) {
	if fields := document.Value(node, "properties"); fields != nil {
		text, err := yaml.Marshal(fields)
		if err == nil && seen[string(text)] {
			forgetDescriptions(fields)
		}
		seen[string(text)] = err == nil
	}
	for _, child := range node.Content {
		documentFirst(child, seen)
	}
}

func cutDescriptions(node *yaml.Node) {
	if node == nil {
		return
	}
	if text := document.Value(node, "description"); text != nil && text.Kind == yaml.ScalarNode {
		sentence, _, _ := strings.Cut(strings.ReplaceAll(text.Value, "\n", " "), ". ")
		text.Value, text.Style = strings.TrimSuffix(sentence, ".")+".", 0
	}
	for _, child := range node.Content {
		cutDescriptions(child)
	}
}

func forgetDescriptions(node *yaml.Node) {
	if node == nil {
		return
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			// A field of that name would be a mapping.
			if node.Content[i].Value == "description" && node.Content[i+1].Kind == yaml.ScalarNode {
				node.Content = slices.Delete(node.Content, i, i+2)
				break
			}
		}
	}
	for _, child := range node.Content {
		forgetDescriptions(child)
	}
}

// members returns the values of a mapping.
func members(mapping *yaml.Node) []*yaml.Node {
	if mapping == nil {
		return nil
	}
	var values []*yaml.Node
	for i := 1; i < len(mapping.Content); i += 2 {
		values = append(values, mapping.Content[i])
	}
	return values
}

// shorten puts every node on one line whose properties have none of their own, and returns how deep properties stand in
// each other below node.
func shorten(node *yaml.Node) (depth int) {
	if node.Kind == yaml.ScalarNode {
		node.Style &^= yaml.FoldedStyle | yaml.LiteralStyle
		return 0
	}
	for _, documentedElsewhere := range []string{"settings", "overrides"} {
		if field := document.Value(document.Value(node, "properties"), documentedElsewhere); field != nil && document.Value(field, "description") != nil {
			defer func() { field.Style = yaml.FlowStyle }()
		}
	}
	for _, child := range node.Content {
		depth = max(depth, shorten(child))
	}
	if document.Value(node, "properties") != nil {
		depth++
	}
	if depth < 2 && node.Kind != yaml.DocumentNode {
		node.Style = yaml.FlowStyle
	}
	return depth
}
