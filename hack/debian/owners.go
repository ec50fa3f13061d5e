package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Package is one that is installed on this machine.
type Package struct {
	Name, Version, Architecture string
	// Release is that of the distribution, such as debian-12.
	Release string
}

var errNoOwner = errors.New("no Debian package brought this file")

// Owners returns the packages that brought the files at paths, sorted, each once. A file that came otherwise is an error.
func Owners(ctx context.Context, paths []string) ([]Package, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	asked := map[string][]string{} // the spellings of each path
	var all []string
	for _, path := range paths {
		asked[path] = spellings(path)
		all = append(all, asked[path]...)
	}
	// It exits with 1 if any path is unknown, as one spelling of most is.
	found, err := exec.CommandContext(ctx, "dpkg-query", append([]string{"--search"}, all...)...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("asking which packages files belong to: %w", err)
	}
	owners := parseOwners(found)
	var names []string
	for path, spelled := range asked {
		index := slices.IndexFunc(spelled, func(one string) bool { return owners[one] != "" })
		if index < 0 {
			return nil, fmt.Errorf("%w: %s", errNoOwner, path)
		}
		names = append(names, owners[spelled[index]])
	}
	slices.Sort(names)
	return describe(ctx, slices.Compact(names))
}

// spellings are the paths under which packages may have brought a file: /lib is the same directory as /usr/lib, and a package names
// either; a link may be made by a script of the package, and its target is the file that came with it.
func spellings(path string) []string {
	out := []string{path}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		out = append(out, target)
	}
	for _, one := range slices.Clone(out) {
		if shorter, below := strings.CutPrefix(one, "/usr"); below {
			out = append(out, shorter)
		} else {
			out = append(out, "/usr"+one)
		}
	}
	return out
}

// parseOwners reads lines such as "libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6". Of several packages that share a file the first counts.
func parseOwners(text []byte) map[string]string {
	owners := map[string]string{}
	for line := range strings.Lines(string(text)) {
		names, path, well := strings.Cut(strings.TrimSpace(line), ": ")
		if first, _, _ := strings.Cut(names, ", "); well && !strings.HasPrefix(names, "diversion ") {
			owners[path] = first
		}
	}
	return owners
}

func describe(ctx context.Context, names []string) ([]Package, error) {
	arguments := append([]string{"--show", "--showformat", "${Package} ${Version} ${Architecture}\n"}, names...)
	text, err := exec.CommandContext(ctx, "dpkg-query", arguments...).Output()
	if err != nil {
		return nil, fmt.Errorf("asking for the versions of packages: %w", err)
	}
	system, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, fmt.Errorf("finding out which system this is: %w", err)
	}
	distribution := parseRelease(system)
	var out []Package
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 {
			out = append(out, Package{Name: fields[0], Version: fields[1], Architecture: fields[2], Release: distribution})
		}
	}
	return out, nil
}

// parseRelease reads os-release(5).
func parseRelease(text []byte) string {
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"'`)
	}
	return values["ID"] + "-" + values["VERSION_ID"]
}
