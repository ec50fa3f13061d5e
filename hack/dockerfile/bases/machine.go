package bases

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Machine is what of this machine the images are made of.
type Machine struct {
	// Codename is that of its Debian, such as bookworm.
	Codename string
	// Sources are the places of Debian's packages, as lines of sources.list(5).
	Sources []string
	// Options are those of apt that lead to these places, as lines of apt.conf(5). They may hold the password of a proxy.
	Options []string
	// Installed are packages of this machine with their versions: when one is upgraded, the images are made again, for the same compiler.
	Installed []string
	// Go is the version of the compiler, such as go1.26.8, Root its directory, Modules that of the modules that it has downloaded.
	Go, Root, Modules string
}

var errSources = errors.New("apt knows no place of Debian's packages; as root: apt-get update")

// compared are packages whose versions decide what comes out of the compiler or what an image holds.
var compared = []string{"binutils", "gcc-12", "libc6-dev", "postgresql-15"}

// Observe looks at this machine. repository is where the Go command is asked.
func Observe(ctx context.Context, repository string) (Machine, error) {
	var m Machine
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return m, fmt.Errorf("finding out which system this is: %w", err)
	}
	m.Codename = parseCodename(release)
	targets, err := output(ctx, "", "apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	if err != nil {
		return m, err
	}
	if m.Sources = parseSources(targets); len(m.Sources) == 0 {
		return m, errSources
	}
	options, err := output(ctx, "", "apt-config", "dump", "Acquire")
	if err != nil {
		return m, err
	}
	m.Options = parseOptions(options)
	packages, err := output(ctx, "", "dpkg-query", "--show", "--showformat", "${Package} ${Version}\n")
	if err != nil {
		return m, err
	}
	m.Installed = parseInstalled(packages)
	settings, err := output(ctx, repository, "go", "env", "-json", "GOVERSION", "GOROOT", "GOMODCACHE")
	if err != nil {
		return m, err
	}
	var found struct{ GOVERSION, GOROOT, GOMODCACHE string }
	if err := json.Unmarshal(settings, &found); err != nil {
		return m, fmt.Errorf("reading the settings of Go: %w", err)
	}
	m.Go, m.Root, m.Modules = found.GOVERSION, found.GOROOT, found.GOMODCACHE
	return m, nil
}

// fingerprint is a hash of what decides what the images hold.
func (m Machine) fingerprint(names Names) string {
	described, err := json.Marshal([]any{names, m.debootstrap(""), m.builder(names), m.Installed})
	if err != nil {
		panic(err) // strings can be encoded
	}
	sum := sha256.Sum256(described)
	return hex.EncodeToString(sum[:])
}

func output(ctx context.Context, directory, program string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = directory
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", program, args[0], err, said.String())
	}
	return out, nil
}

// parseCodename reads os-release(5).
func parseCodename(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); found {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

// parseSources takes of the places that apt knows those of Debian itself.
func parseSources(targets []byte) []string {
	var sources []string
	for line := range strings.Lines(string(targets)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "Debian" {
			sources = append(sources, "deb "+strings.Join(fields[1:], " "))
		}
	}
	slices.Sort(sources)
	return slices.Compact(sources)
}

// parseOptions takes of apt's settings those that say how to reach a server, and what to believe it.
func parseOptions(dump []byte) []string {
	var options []string
	for line := range strings.Lines(string(dump)) {
		line = strings.TrimSpace(line)
		for _, prefix := range []string{"Acquire::http:", "Acquire::https:", "Acquire::Check-", "Acquire::Retries "} {
			if strings.HasPrefix(line, prefix) && !strings.HasSuffix(line, ` "";`) {
				options = append(options, line)
			}
		}
	}
	return options
}

func parseInstalled(list []byte) []string {
	var installed []string
	for line := range strings.Lines(string(list)) {
		if name, _, _ := strings.Cut(line, " "); slices.Contains(compared, name) {
			installed = append(installed, strings.TrimSpace(line))
		}
	}
	slices.Sort(installed)
	return installed
}
