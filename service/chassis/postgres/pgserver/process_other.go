//go:build !linux

package pgserver

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// account is who the server runs as; off Linux it is always ourselves.
type account struct{}

func serverAccount() (account, error) {
	if os.Geteuid() == 0 {
		return account{}, errors.New("PostgreSQL does not run as root: start this as another user")
	}
	return account{}, nil
}

func (account) own(string) error { return nil }

func (account) command(program string, paths []string, args func([]string) []string) (*exec.Cmd, func(), error) {
	cmd := exec.Command(program, args(paths)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, func() {}, nil
}

// orphan finds none: PostgreSQL itself then refuses a data directory that is in use, and says so.
func orphan(string) (*os.Process, bool) { return nil, false }
