package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
)

// settingsHead explains the file that follows it.
const settingsHead = `# Live settings of make dev: what is saved here holds in all instances at once.
# Everything is a comment, so the defaults below hold. Take away the "# " of a field
# and of the lines above it that are indented less, and change its value.
# docs/settings.md says what each field does. A mistake changes nothing; it is shown
# in the log of each instance and under "settings" in /health.

`

// makeSettings writes the generation that a developer edits, unless there is one already, and returns its path.
func (h *home) makeSettings() (string, error) {
	const generation = 1
	edited := filepath.Join(h.settings(), contract.SettingsFile(generation))
	if err := os.MkdirAll(h.settings(), 0o755); err != nil {
		return "", fmt.Errorf("making %s: %w", h.settings(), err)
	}
	text, err := commentedDefaults()
	if err != nil {
		return "", err
	}
	for path, content := range map[string]string{
		edited: text, filepath.Join(h.settings(), contract.SettingsCurrentFile): fmt.Sprintln(generation),
	} {
		if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
			continue // what a developer has written is left alone
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return edited, nil
}

// commentedDefaults are all settings that have a default, each line a comment.
func commentedDefaults() (string, error) {
	var plain bytes.Buffer
	encoder := yaml.NewEncoder(&plain)
	encoder.SetIndent(2)
	defaults, err := json.Marshal(settings.Default())
	if err != nil {
		return "", fmt.Errorf("writing the default settings: %w", err)
	}
	var tree yaml.Node // keeps the order of the fields
	if err := yaml.Unmarshal(defaults, &tree); err != nil {
		return "", fmt.Errorf("writing the default settings: %w", err)
	}
	inBlocks(&tree)
	if err := encoder.Encode(&tree); err != nil {
		return "", fmt.Errorf("writing the default settings: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(plain.String()), "\n")
	return settingsHead + "# " + strings.Join(lines, "\n# ") + "\n", nil
}

// inBlocks makes YAML for people of what was JSON. The smallest objects, such as a limit, stay on one line.
func inBlocks(node *yaml.Node) {
	node.Style = 0
	small := node.Kind == yaml.MappingNode
	for _, child := range node.Content {
		inBlocks(child)
		small = small && child.Kind == yaml.ScalarNode
	}
	if small {
		node.Style = yaml.FlowStyle
	}
}
