package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// home is where everything lies that a run makes: .local/dev, and beside it what others look for. Its lock ends with
// the process, however it ends.
type home struct {
	root  string // of the sources
	local string
	lock  *os.File
}

func (h *home) path(parts ...string) string {
	return filepath.Join(append([]string{h.local, "dev"}, parts...)...)
}
func (h *home) results() string     { return filepath.Join(h.local, "results") }
func (h *home) settings() string    { return filepath.Join(h.local, "settings") }
func (h *home) environment() string { return filepath.Join(h.local, "dev.env") }

// program is a copy of the service for this purpose alone, so that a process that runs it is known to be ours.
func (h *home) program() string { return h.path("scores") }

func (h *home) log(n int) string     { return h.path(fmt.Sprintf("scores-%d.log", n)) }
func (h *home) pidFile(n int) string { return h.path(fmt.Sprintf("scores-%d.pid", n)) }

// openHome makes the directory and locks it: there is one `make dev` for a repository.
func openHome(root, local string) (*home, error) {
	h := &home{root: root, local: local}
	if err := os.MkdirAll(h.path(), 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", h.path(), err)
	}
	// The kernel names programs by their real paths.
	resolved, err := filepath.EvalSymlinks(local)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", local, err)
	}
	h.local = resolved
	lock, err := os.OpenFile(h.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", h.path(), err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, readErr := os.ReadFile(h.path("lock"))
		err := errors.Join(err, readErr, lock.Close())
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("make dev is running already (process %s); stop it with Ctrl-C where it runs", strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("locking %s: %w", h.path(), err)
	}
	h.lock = lock
	if err := os.WriteFile(h.path("lock"), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", h.path(), err), lock.Close())
	}
	h.removeEnvironment() // it speaks of a run that is over
	return h, nil
}

func (h *home) close() { _ = h.lock.Close() } // closing is what unlocks

func (h *home) removeEnvironment() { _ = os.Remove(h.environment()) } // a file that is not there is as good

func (h *home) isBuilt() bool {
	_, err := os.Stat(h.program())
	return err == nil
}

// build makes the service from the sources. Its error is context.Canceled if ctx ended first.
func (h *home) build(ctx context.Context) error {
	// Stamping would ask git, which refuses in a checkout that belongs to somebody else.
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", h.program(), "./cmd/scores")
	cmd.Env = append(os.Environ(), "GOGC=400") // as in the Makefile: the first build is what a newcomer waits for
	cmd.Dir = h.root
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("building the service: %w\n%s", err, out)
	}
	return nil
}

// jwtSecret is made once, so that tokens stay valid from run to run.
func (h *home) jwtSecret() (string, error) {
	path := h.path("jwt-secret")
	content, err := os.ReadFile(path)
	if err == nil && len(content) > 0 {
		return strings.TrimSpace(string(content)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the signing secret: %w", err)
	}
	secret := rand.Text() + rand.Text() // 52 characters, 260 bits
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping the signing secret: %w", err)
	}
	return secret, nil
}

// stopLeftovers ends instances that a run has left which was killed. Only a process that runs our own copy of the
// service is one of them: the number in a file may belong to anybody by now.
func (h *home) stopLeftovers() error {
	files, err := filepath.Glob(h.path("scores-*.pid"))
	if err != nil {
		return fmt.Errorf("looking for what an earlier run has left: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err == nil && pid > 1 {
			if err := stopLeftover(pid, h.program()); err != nil {
				return err
			}
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("removing %s: %w", file, err)
		}
	}
	return nil
}

func stopLeftover(pid int, program string) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for deadline := time.Now().Add(stopPatience / 2); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if !runs(pid, program) {
				return nil
			}
			if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stopping what an earlier run has left (process %d): %w", pid, err)
			}
			signal = 0 // once is enough
		}
	}
	return fmt.Errorf("process %d, which an earlier run has left, does not end", pid)
}
