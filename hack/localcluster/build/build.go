// Package build makes the programs of the local cluster from their Go modules, with progress, once: a program is built
// again only when its module, the flags or the Go version changed. It owns how to build, not what the programs do.
package build

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/hack/localcluster/progress"
)

// Program is one static program with a module of its own.
type Program struct {
	// Source is the directory of the module, whose package main is at its root.
	Source string
	// Output is where the program goes.
	Output string
	// LDFlags are passed to the linker after those that drop the symbol tables.
	LDFlags []string
	// Links are further names of the program, made beside Output.
	Links []string
}

// Make builds the program unless it is up to date, and makes its links. built is false when there was nothing to do.
func (p Program) Make(ctx context.Context, report *progress.Reporter) (built bool, err error) {
	wanted, err := p.fingerprint(ctx)
	if err != nil {
		return false, err
	}
	if !p.upToDate(wanted) {
		if err := p.compile(ctx, report); err != nil {
			return false, err
		}
		if err := os.WriteFile(p.stamp(), []byte(wanted+"\n"), 0o644); err != nil {
			return false, fmt.Errorf("noting what was built: %w", err)
		}
		built = true
	}
	for _, name := range p.Links {
		if err := Link(filepath.Base(p.Output), filepath.Join(filepath.Dir(p.Output), name)); err != nil {
			return built, err
		}
	}
	return built, nil
}

// Link makes path a symbolic link to target, replacing another link.
func Link(target, path string) error {
	if present, err := os.Readlink(path); err == nil && present == target {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing the link %s: %w", path, err)
	}
	if err := os.Symlink(target, path); err != nil {
		return fmt.Errorf("linking a program: %w", err)
	}
	return nil
}

func (p Program) stamp() string {
	return filepath.Join(filepath.Dir(p.Output), "."+filepath.Base(p.Output)+".stamp")
}

func (p Program) upToDate(wanted string) bool {
	if _, err := os.Stat(p.Output); err != nil {
		return false
	}
	stamp, err := os.ReadFile(p.stamp())
	return err == nil && strings.TrimSpace(string(stamp)) == wanted
}

// fingerprint is a hash of all that decides what the program will be. go.sum pins every dependency.
func (p Program) fingerprint(ctx context.Context) (string, error) {
	version, err := p.goCommand(ctx, "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the Go version: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s%q\n", version, p.arguments())
	files, err := filepath.Glob(filepath.Join(p.Source, "*"))
	if err != nil {
		return "", fmt.Errorf("listing %s: %w", p.Source, err)
	}
	slices.Sort(files)
	for _, file := range files {
		if err := hashFile(sum, file); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func hashFile(sum io.Writer, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a source file: %w", err)
	}
	fmt.Fprintf(sum, "%s %d\n", filepath.Base(path), len(data))
	if _, err := sum.Write(data); err != nil {
		return fmt.Errorf("hashing %s: %w", path, err)
	}
	return nil
}

func (p Program) arguments() []string {
	ldflags := append([]string{"-s", "-w"}, p.LDFlags...)
	return []string{"build", "-v", "-trimpath", "-ldflags", strings.Join(ldflags, " "), "-o", p.Output, "."}
}

// compile runs the Go compiler. Without garbage collection it is a sixth faster; its processes are short.
func (p Program) compile(ctx context.Context, report *progress.Reporter) error {
	report.Update("looking up what %s is made of", filepath.Base(p.Output))
	packages, err := p.packages(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.Output), 0o755); err != nil {
		return fmt.Errorf("making the directory for programs: %w", err)
	}
	command := p.goCommand(ctx, p.arguments()...)
	command.Env = append(command.Env, "GOGC=off")
	reader, writer := io.Pipe()
	command.Stderr = writer
	messages := make(chan string, 1)
	go func() { messages <- follow(reader, packages, time.Now, report) }()
	err = command.Run()
	_ = writer.Close() // never fails; see its documentation
	if said := <-messages; err != nil {
		return fmt.Errorf("building %s: %w\n%s", filepath.Base(p.Output), err, said)
	}
	return nil
}

// packages lists everything the program consists of. The first call downloads the modules.
func (p Program) packages(ctx context.Context) (map[string]bool, error) {
	var stderr bytes.Buffer
	command := p.goCommand(ctx, "list", "-deps", ".")
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packages of %s: %w\n%s", p.Source, err, stderr.String())
	}
	packages := map[string]bool{}
	for name := range strings.Lines(string(out)) {
		packages[strings.TrimSpace(name)] = true
	}
	return packages, nil
}

// follow counts the packages that the compiler names as it goes and returns everything else it says.
func follow(output io.Reader, packages map[string]bool, now func() time.Time, report *progress.Reporter) string {
	var other strings.Builder
	begin, count := now(), progress.Count{Total: len(packages)}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !packages[line] {
			if !strings.HasPrefix(line, "go: downloading ") {
				other.WriteString(line + "\n")
			}
			continue
		}
		count.Done++
		count.Elapsed = now().Sub(begin)
		report.Update("%s", count)
	}
	// A line that is too long ends the scan; the compiler must not block on a full pipe because of it.
	_, _ = io.Copy(io.Discard, output)
	return other.String()
}

func (p Program) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = p.Source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	return command
}
