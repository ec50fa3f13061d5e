package native

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/localcluster/binaries"
	"github.com/mirubato/mirubato/hack/localcluster/manifest"
	"github.com/mirubato/mirubato/hack/localcluster/node"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

// Load imports image archives. One whose images are all there already is passed over.
func (c Cluster) Load(ctx context.Context, archives []string) error {
	record, err := c.Dir.Load()
	if err != nil {
		return err
	}
	if !record.Init.Alive() {
		return state.ErrNone
	}
	containerd := containerd{pid: record.Init.PID}
	var present map[archive.Identity]bool
	err = manifest.Wait(ctx, time.Minute, "containerd", func(ctx context.Context) (bool, error) {
		present, err = containerd.images(ctx)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	for _, path := range archives {
		wanted, err := archive.Identify(path)
		if err != nil {
			return err
		}
		if containsAll(present, wanted) {
			continue
		}
		if _, err := containerd.ctr(ctx, "images", "import", path); err != nil {
			return fmt.Errorf("loading %s: %w", path, err)
		}
	}
	return nil
}

func containsAll(present map[archive.Identity]bool, wanted []archive.Identity) bool {
	for _, identity := range wanted {
		if !present[identity] {
			return false
		}
	}
	return true
}

// containerd is that of the node with the given first process. Its socket lies in the node's own /run.
type containerd struct{ pid int }

func (c containerd) ctr(ctx context.Context, args ...string) ([]byte, error) {
	address := fmt.Sprintf("/proc/%d/root%s", c.pid, node.ContainerdSocket)
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "ctr", append([]string{"--address", address, "--namespace", "k8s.io"}, args...)...)
	command.Env = []string{"PATH=" + binaries.SearchPath}
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(strings.TrimSpace(stderr.String())))
	}
	return out, nil
}

func (c containerd) images(ctx context.Context) (map[archive.Identity]bool, error) {
	out, err := c.ctr(ctx, "images", "list")
	if err != nil {
		return nil, fmt.Errorf("listing the images of the node: %w", err)
	}
	return parseImages(string(out)), nil
}

// parseImages reads the table that ctr prints: name, type, digest and more, under a heading.
func parseImages(table string) map[archive.Identity]bool {
	images := map[archive.Identity]bool{}
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) >= 3 && strings.HasPrefix(fields[2], "sha256:") {
			images[archive.Identity{Name: fields[0], Digest: fields[2]}] = true
		}
	}
	return images
}
