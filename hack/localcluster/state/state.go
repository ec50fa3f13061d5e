// Package state knows where a checkout keeps its local cluster: every path below .local, the record of the cluster that
// runs, and the lock that keeps two commands apart. What lies in those files belongs to the packages that write them.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is the absolute path of a state directory, .local at the root of the repository.
type Dir string

// Find returns the state directory of the repository that holds the directory start. It need not exist yet.
func Find(start string) (Dir, error) {
	start, err := filepath.Abs(start)
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "hack", "localcluster")); err == nil {
			return Dir(filepath.Join(dir, ".local")), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside the repository; change into it", start)
		}
	}
}

// Bin is the path of a program built or linked for the cluster.
func (d Dir) Bin(name string) string { return filepath.Join(string(d), "bin", name) }

// Images is the directory of image tarballs.
func (d Dir) Images() string { return filepath.Join(string(d), "images") }

// Kubeconfig is the path of the administrator's kubeconfig.
func (d Dir) Kubeconfig() string { return filepath.Join(string(d), "kubeconfig") }

// Databases is the path of the list of database URLs.
func (d Dir) Databases() string { return filepath.Join(string(d), "databases.json") }

// Cluster is a path in the directory that holds everything that lives and dies with one cluster.
func (d Dir) Cluster(elem ...string) string {
	return filepath.Join(append([]string{string(d), "cluster"}, elem...)...)
}

// Repository is the root of the repository that this is the state directory of.
func (d Dir) Repository() string { return filepath.Dir(string(d)) }

// Sources is a path below hack in the repository.
func (d Dir) Sources(elem ...string) string {
	return filepath.Join(append([]string{d.Repository(), "hack"}, elem...)...)
}

// Provider names how a cluster is run.
type Provider string

// The providers.
const (
	// Native runs the components as processes of this machine.
	Native Provider = "native"
	// Kind runs them in a container of the Docker engine.
	Kind Provider = "kind"
)

// Record says which cluster a state directory has.
type Record struct {
	Provider Provider `json:"provider"`
	// Init is the first process of a native node; zero for other providers.
	Init Process `json:"init,omitzero"`
	// NodeIP is the address of a native node.
	NodeIP string `json:"nodeIP,omitempty"`
}

// ErrNone is returned by Load when there is no cluster.
var ErrNone = errors.New("there is no local cluster")

// Load reads the record; ErrNone when there is none.
func (d Dir) Load() (Record, error) {
	var record Record
	data, err := os.ReadFile(d.recordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return record, ErrNone
	}
	if err != nil {
		return record, fmt.Errorf("reading the cluster's record: %w", err)
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return record, fmt.Errorf("decoding %s: %w", d.recordFile(), err)
	}
	return record, nil
}

// Save writes the record.
func (d Dir) Save(record Record) error {
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the cluster's record: %w", err)
	}
	if err := os.MkdirAll(d.Cluster(), 0o755); err != nil {
		return fmt.Errorf("making the cluster's directory: %w", err)
	}
	if err := os.WriteFile(d.recordFile(), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the cluster's record: %w", err)
	}
	return nil
}

// Remove deletes everything that belongs to the cluster. Programs and image tarballs stay. Nothing may be mounted
// below the directory any more.
func (d Dir) Remove() error {
	for _, path := range []string{d.Kubeconfig(), d.Databases(), d.Cluster()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing the cluster's files: %w", err)
		}
	}
	return nil
}

func (d Dir) recordFile() string { return d.Cluster("cluster.json") }
