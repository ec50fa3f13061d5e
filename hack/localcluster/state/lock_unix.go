//go:build unix

package state

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock keeps other commands away from this state directory until release is called or the process ends. It does not
// wait: when another one holds the lock it returns an error at once.
func (d Dir) Lock() (release func(), err error) {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	file, err := os.OpenFile(string(d)+"/cluster.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another command is changing the cluster in %s; wait until it is done", d)
		}
		return nil, fmt.Errorf("locking the state directory: %w", err)
	}
	return func() { _ = file.Close() }, nil // which gives the lock up
}
