package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Cgroup is the name, below the root of every hierarchy, of the cgroup that holds all pods.
const Cgroup = "mirubato"

const cgroupRoot = "/sys/fs/cgroup"

// MakeCgroup makes Cgroup in every hierarchy. It also finds out whether pods can be given limits on this machine.
func MakeCgroup() error {
	const advice = "; in a container, start it privileged with the machine's cgroups, or start with PROVIDER=kind"
	hierarchies := hierarchiesBelow(cgroupRoot)
	if len(hierarchies) == 0 {
		return fmt.Errorf("no cgroups are mounted at %s%s", cgroupRoot, advice)
	}
	for _, hierarchy := range hierarchies {
		if err := os.MkdirAll(filepath.Join(hierarchy, Cgroup), 0o755); err != nil {
			return fmt.Errorf("cgroups cannot be made on this machine: %w%s", err, advice)
		}
	}
	return nil
}

// hierarchiesBelow returns the roots of the cgroup trees at root: root itself on cgroup v2, one for each controller on
// v1, where links such as cpu -> cpu,cpuacct lead to the same tree and are left out.
func hierarchiesBelow(root string) []string {
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil
	}
	var trees []string
	for _, entry := range entries {
		tree := filepath.Join(root, entry.Name())
		if _, err := os.Stat(filepath.Join(tree, "cgroup.procs")); entry.IsDir() && err == nil {
			trees = append(trees, tree)
		}
	}
	return trees
}

// removeCgroups deletes the empty cgroups that a stopped node left. The kernel takes a moment to forget the processes
// of one, so this tries until ctx ends.
func removeCgroups(ctx context.Context) error {
	for {
		var last error
		for _, hierarchy := range hierarchiesBelow(cgroupRoot) {
			if err := removeTree(filepath.Join(hierarchy, Cgroup)); err != nil {
				last = err
			}
		}
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("removing the cgroups of the pods: %w", last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// removeTree removes directories from the bottom up and leaves their files to the kernel: in a cgroup only rmdir works.
func removeTree(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("listing %s: %w", top, err)
	}
	slices.SortFunc(dirs, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, dir := range dirs {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a cgroup: %w", err)
		}
	}
	return nil
}
