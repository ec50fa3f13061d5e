package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// stopPatience is how long a program may take to end after it was told to.
const stopPatience = 10 * time.Second

var versionText = regexp.MustCompile(`\(PostgreSQL\) (([0-9]+)[^ ]*)`)

// programPrefix is what a program begins its lines with; who reads them knows it.
var programPrefix = regexp.MustCompile(`^pg_[a-z]+: (error: )?`)

// toolVersion returns the version of pg_dump, such as "15.18", and its major number.
func toolVersion(ctx context.Context) (version string, major int, err error) {
	var out bytes.Buffer
	if err := runTool(ctx, tool{name: "pg_dump", args: []string{"--version"}, stdout: &out}); err != nil {
		return "", 0, err
	}
	match := versionText.FindStringSubmatch(out.String())
	if match == nil {
		return "", 0, migrate.NewError(contract.BackupFailed, fmt.Sprintf("pg_dump does not say its version but %q", out.String()))
	}
	major, err = strconv.Atoi(match[2])
	return match[1], major, err
}

// tool is one call of a program of PostgreSQL.
type tool struct {
	name   string
	access migrate.Access
	args   []string
	stdin  io.Reader
	stdout io.Writer
}

// runTool ends the program with SIGTERM when ctx ends. What it says on stderr becomes the error.
func runTool(ctx context.Context, t tool) error {
	cmd := exec.CommandContext(ctx, t.name, t.args...) //nolint:gosec // names are constants, arguments no shell's
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopPatience
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") }), t.access.Environment()...)
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	said := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.stdin, t.stdout, said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return migrate.NewError(contract.Interrupted, "the run was told to stop while "+t.name+" worked")
	case errors.Is(err, exec.ErrNotFound):
		return migrate.NewError(contract.BackupFailed, t.name+" is not installed: use the migrate image, or install the client programs of PostgreSQL")
	}
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return failure // of the storage that the program reads from or writes to
	}
	if known := storageFailure(err); known != nil {
		return known
	}
	return migrate.NewError(contract.BackupFailed, t.access.Redact(t.name+": "+cmdReason(said.text(), err)))
}

// cmdReason is what the program said, or how it ended if it said nothing.
func cmdReason(said string, err error) string {
	if said == "" {
		return err.Error()
	}
	switch {
	case strings.Contains(said, "permission denied"):
		return said + "; grant the role of the connection URL SELECT on it, or use the owner's"
	case strings.Contains(said, "No space left on device"):
		return said + "; the scratch directory is too small for a copy of the database"
	}
	return said
}

// storageFailure recognises a directory of backups that is full or broken; nil for everything else.
func storageFailure(err error) *migrate.Error {
	for _, known := range []struct {
		cause error
		text  string
	}{
		{syscall.ENOSPC, "it is full: make the volume larger, or keep fewer backups"},
		{syscall.EDQUOT, "its quota is used up: raise it, or keep fewer backups"},
		{syscall.EROFS, "it is mounted read-only"},
		{os.ErrPermission, "it cannot be written: mount it with an fsGroup that the user of the Job belongs to"},
		{os.ErrNotExist, "it is not there: mount a volume at the directory of --location"},
		{syscall.EIO, "it has an input/output error"},
	} {
		if errors.Is(err, known.cause) {
			return migrate.NewError(contract.StorageUnavailable, "the directory of backups: "+known.text)
		}
	}
	return nil
}

// tail keeps the last of what a program says.
type tail struct{ kept []byte }

func (w *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	w.kept = append(w.kept, p...)
	w.kept = w.kept[max(0, len(w.kept)-most):]
	return len(p), nil
}

// text is on one line and without values of rows, which pg_restore quotes in lines that begin with CONTEXT or DETAIL.
func (w *tail) text() string {
	var lines []string
	for line := range strings.Lines(string(w.kept)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "CONTEXT") || strings.HasPrefix(line, "DETAIL") || strings.HasPrefix(line, "COPY ") ||
			strings.HasPrefix(line, "Command was") || line == "" {
			continue
		}
		lines = append(lines, programPrefix.ReplaceAllString(line, ""))
	}
	return strings.Join(lines[max(0, len(lines)-5):], " ")
}

// readSchema returns the statements that make the schema, sorted: the order of equals depends on how a database came to be.
func readSchema(ctx context.Context, access migrate.Access, snapshot string) (string, error) {
	args := []string{"--schema-only", "--no-subscriptions", "--no-password", "--lock-wait-timeout=60s"}
	if snapshot != "" {
		args = append(args, "--snapshot="+snapshot)
	}
	var out bytes.Buffer
	if err := runTool(ctx, tool{name: "pg_dump", access: access, args: args, stdout: &out}); err != nil {
		return "", err
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--") || strings.HasPrefix(line, `\restrict`) || strings.HasPrefix(line, `\unrestrict`) {
			continue
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}
