package node

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/mirubato/mirubato/hack/images/recipe"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

//go:embed templates
var templates embed.FS

// configFiles are the files that are made from templates, by their path below the cluster's config directory.
var configFiles = map[string]string{
	"audit.yaml":      "templates/audit.yaml",
	"containerd.toml": "templates/containerd.toml",
	"cni/10.conflist": "templates/cni.conflist",
	"kubelet.yaml":    "templates/kubelet.yaml",
	"resolv.conf":     "templates/resolv.conf",
	settingsFile:      "",
}

const settingsFile = "node.json"

// directories are made before a node starts; the mounts need them.
var directories = []string{"config/cni", "containerd", "etcd", "kubelet", "logs/pods", "pki", "volumes"}

// Write makes all that a node needs below dir: directories, certificates, kubeconfigs and configuration. The
// administrator's kubeconfig is written too.
func Write(dir state.Dir, settings Settings) error {
	for _, name := range directories {
		if err := os.MkdirAll(dir.Cluster(name), 0o755); err != nil {
			return fmt.Errorf("making a directory of the node: %w", err)
		}
	}
	if err := writeCredentials(dir, settings); err != nil {
		return err
	}
	for name := range configFiles {
		text, err := render(name, settings)
		if err != nil {
			return err
		}
		if err := os.WriteFile(dir.Cluster("config", name), text, 0o644); err != nil {
			return fmt.Errorf("writing a configuration file: %w", err)
		}
	}
	return nil
}

func render(name string, settings Settings) ([]byte, error) {
	if name == settingsFile {
		text, err := json.MarshalIndent(settings, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("encoding the node's settings: %w", err)
		}
		return text, nil
	}
	parsed, err := template.New(filepath.Base(configFiles[name])).Option("missingkey=error").ParseFS(templates, configFiles[name])
	if err != nil {
		return nil, fmt.Errorf("reading the template of %s: %w", name, err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, map[string]any{
		"Audited":    Audited,
		"PauseImage": recipe.Options{Version: PauseVersion}.Image("pause"),
		"Config":     inside("config"),
		"PKI":        inside("pki"),
		"Pods":       settings.Pods,
		"DNS":        settings.DNS(),
		"Cgroup":     settings.Cgroup,
	})
	if err != nil {
		return nil, fmt.Errorf("filling in %s: %w", name, err)
	}
	return text.Bytes(), nil
}

// readSettings reads, inside the node, what Write wrote.
func readSettings() (Settings, error) {
	var settings Settings
	data, err := os.ReadFile(inside("config", settingsFile))
	if err != nil {
		return settings, fmt.Errorf("reading the node's settings: %w", err)
	}
	if err := json.Unmarshal(data, &settings); err != nil {
		return settings, fmt.Errorf("decoding the node's settings: %w", err)
	}
	return settings, nil
}
