package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The table of values stands between these lines of a README.
const (
	tableBegins = "<!-- values: written by make generate from values.yaml -->\n"
	tableEnds   = "<!-- end of values -->\n"
)

// writeValues puts the table of a chart's values into its README.
func writeValues(chart string) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	rows, err := table(values)
	if err != nil {
		return fmt.Errorf("%s: %w", chart, err)
	}
	name := filepath.Join(chart, "README.md")
	readme, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(readme, []byte(tableBegins))
	_, after, ends := bytes.Cut(rest, []byte(tableEnds))
	if !begins || !ends {
		return fmt.Errorf("%s has no lines %q and %q", name, tableBegins, tableEnds)
	}
	return put(name, bytes.Join([][]byte{before, []byte(tableBegins), rows, []byte(tableEnds), after}, nil))
}

// table lists every value that has a comment, and fails for one that has none and lies in no other that has.
func table(values []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("\n| value | default | meaning |\n| --- | --- | --- |\n")
	if err := writeRows(&out, "", document.Content[0]); err != nil {
		return nil, err
	}
	out.WriteString("\n")
	return out.Bytes(), nil
}

func writeRows(out *bytes.Buffer, prefix string, mapping *yaml.Node) error {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, node := mapping.Content[i], mapping.Content[i+1]
		path := prefix + key.Value
		grouped := isGroup(node)
		if comment := text(key.HeadComment); comment != "" {
			fallback := ""
			if !grouped {
				encoded, err := compact(node)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				fallback = "`" + encoded + "`"
			}
			fmt.Fprintf(out, "| `%s` | %s | %s |\n", path, fallback, comment)
		} else if !grouped {
			return fmt.Errorf("values.yaml says nothing about %s", path)
		}
		if grouped {
			if err := writeRows(out, path+".", node); err != nil {
				return err
			}
		}
	}
	return nil
}

// isGroup reports whether the values of a mapping are documented one by one.
func isGroup(node *yaml.Node) bool {
	if node.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].HeadComment != "" || isGroup(node.Content[i+1]) {
			return true
		}
	}
	return false
}

// text is a comment as a cell of a table.
func text(comment string) string {
	lines := strings.Split(comment, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(line, "#"))
	}
	return strings.ReplaceAll(strings.Join(lines, " "), "|", `\|`)
}

func compact(node *yaml.Node) (string, error) {
	var decoded any
	if err := node.Decode(&decoded); err != nil {
		return "", err
	}
	encoded, err := json.Marshal(decoded)
	return string(encoded), err
}
