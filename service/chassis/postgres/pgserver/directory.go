package pgserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	temporaryPrefix = "mirubato-pgserver-"
	// sweepAge keeps the sweep away from a directory that another test is about to lock.
	sweepAge = time.Minute
	// orphanPatience is how long a server without parent may take for its shutdown before it is killed.
	orphanPatience = 10 * time.Second
)

// directory is where one server keeps everything: data/, password, server.log and lock. The lock is held by the
// process that runs the server and ends with it, however it ends.
type directory struct {
	path      string
	temporary bool
	lock      *os.File
}

func (d *directory) data() string     { return filepath.Join(d.path, "data") }
func (d *directory) password() string { return filepath.Join(d.path, "password") }
func (d *directory) socket() string   { return filepath.Join(d.path, "socket") }
func (d *directory) log() string      { return filepath.Join(d.path, "server.log") }

// openDirectory makes path if it is not there, and locks it. An empty path makes a temporary directory.
func openDirectory(path string) (*directory, error) {
	d := &directory{path: path}
	if path == "" {
		sweep(os.TempDir(), time.Now().Add(-sweepAge))
		made, err := os.MkdirTemp("", temporaryPrefix)
		if err != nil {
			return nil, fmt.Errorf("making a directory for the server: %w", err)
		}
		d.path, d.temporary = made, true
	} else if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the server: %w", err)
	}
	abs, err := filepath.Abs(d.path)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", d.path, err)
	}
	// The real path is what the kernel names as the working directory of an orphan.
	if d.path, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fmt.Errorf("resolving %s: %w", abs, err)
	}
	d.lock, err = lockFile(filepath.Join(d.path, "lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("the database in %s is in use by another process that is still running", d.path)
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", d.path, err)
	}
	return d, nil
}

// close gives the lock up, and removes the directory if it was a temporary one.
func (d *directory) close() error {
	err := d.lock.Close()
	if d.temporary {
		err = errors.Join(err, os.RemoveAll(d.path))
	}
	return err
}

// lockFile returns EWOULDBLOCK, wrapped, if someone else holds the lock.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweep removes the temporary directories that killed tests have left in parent before the given time. What cannot
// be removed, because it belongs to another user, stays.
func sweep(parent string, before time.Time) {
	dirs, err := filepath.Glob(filepath.Join(parent, temporaryPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || info.ModTime().After(before) {
			continue
		}
		lock, err := lockFile(filepath.Join(dir, "lock"))
		if err != nil {
			continue
		}
		left := &directory{path: dir, temporary: true, lock: lock}
		if left.stopOrphan() == nil {
			_ = left.close()
		}
	}
}

// stopOrphan ends a server that has lost the process that started it. Holding the lock, we know that it has.
func (d *directory) stopOrphan() error {
	p, found := orphan(d.data())
	if !found {
		return nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping the server that an earlier run left (process %d): %w", p.Pid, err)
		}
		for deadline := time.Now().Add(orphanPatience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if _, still := orphan(d.data()); !still {
				return nil
			}
		}
	}
	return fmt.Errorf("the server that an earlier run left (process %d) does not end", p.Pid)
}

// ensurePassword returns the password kept in the directory, making it at the first call.
func (d *directory) ensurePassword(a account) (string, error) {
	content, err := os.ReadFile(d.password())
	if err == nil && len(content) > 0 {
		return strings.TrimSpace(string(content)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	password := rand.Text()
	if err := os.WriteFile(d.password(), []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the password: %w", err)
	}
	return password, a.own(d.password())
}

// makeSocketDirectory makes it anew: a server that was killed has left its socket there.
func (d *directory) makeSocketDirectory(a account) error {
	if err := os.RemoveAll(d.socket()); err != nil {
		return fmt.Errorf("removing the directory of the socket: %w", err)
	}
	if err := os.Mkdir(d.socket(), 0o700); err != nil {
		return fmt.Errorf("making the directory of the socket: %w", err)
	}
	return a.own(d.socket())
}

// initialise makes the data directory if it is not there. It works beside it and renames, so that a run that is
// killed in the middle leaves nothing that looks complete.
func (d *directory) initialise(p programs, a account) error {
	if _, err := os.Stat(d.data()); err == nil {
		return nil
	}
	unfinished := d.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing an unfinished data directory: %w", err)
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := a.own(unfinished); err != nil {
		return fmt.Errorf("handing the data directory over: %w", err)
	}
	cmd, release, err := a.command(p.initdb(), []string{unfinished, d.password()}, func(names []string) []string {
		return []string{
			"--pgdata", names[0], "--pwfile", names[1], "--username", superuser, "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
		}
	})
	if err != nil {
		return err
	}
	defer release()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the data directory with %s: %w: %s", p.initdb(), err, lastLines(string(out), 5))
	}
	if err := os.Rename(unfinished, d.data()); err != nil {
		return fmt.Errorf("putting the data directory in place: %w", err)
	}
	return nil
}

// lastLines returns at most n lines from the end of text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
