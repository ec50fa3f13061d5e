package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is who the server runs as. PostgreSQL refuses to run as root, so for root it is another user.
type account struct {
	uid, gid int
	// other is true when it is not who we are.
	other bool
}

// serverAccount chooses ourselves, or for root the user postgres that the Debian package makes, or else nobody.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("reading the ids of user %s: %w", name, err)
		}
		return account{uid: uid, gid: gid, other: true}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as")
}

// own hands a path over to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// command prepares program to run as the account with paths as files or directories it may use; args gets each
// path's name as the program shall spell it.
//
// The other account often cannot reach our paths, because a parent directory (such as /root) is closed to it. An open
// descriptor is passed instead, and /proc/self/fd leads past the parents.
func (a account) command(program string, paths []string, args func(names []string) []string) (cmd *exec.Cmd, release func(), err error) {
	names := paths
	var files []*os.File
	release = func() {
		for _, f := range files {
			_ = f.Close() // opened for reading only: nothing can be lost
		}
	}
	if a.other {
		names = nil
		for i, path := range paths {
			f, err := os.Open(path)
			if err != nil {
				release()
				return nil, nil, fmt.Errorf("opening %s: %w", path, err)
			}
			files = append(files, f)
			names = append(names, "/proc/self/fd/"+strconv.Itoa(3+i))
		}
	}
	cmd = exec.Command(program, args(names)...) //nolint:noctx,gosec // a server outlives the context of its start; who sets PG_BIN chooses the program
	cmd.Dir = "/"
	cmd.ExtraFiles = files
	// A group of its own keeps the terminal's Ctrl-C away: it is ours to stop. The signal on our death is a fast
	// shutdown.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	if a.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // ids from the user database
	}
	return cmd, release, nil
}

// orphan returns the process that still serves dataDir, if there is one. It compares working directories, because a
// process id in a stale postmaster.pid may belong to anyone by now.
func orphan(dataDir string) (*os.Process, bool) {
	content, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return nil, false
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return nil, false
	}
	cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil || cwd != dataDir {
		return nil, false
	}
	p, err := os.FindProcess(pid)
	return p, err == nil
}
