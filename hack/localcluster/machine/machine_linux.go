package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/hack/localcluster/state"
)

// NodeProcess is the name under which the first process of a node shows in a process list. It is how a process number
// that is read from the interface is told from one that another program got since.
const NodeProcess = "localcluster-node"

// stopTimeout bounds how long the kernel may take to forget a killed node.
const stopTimeout = 20 * time.Second

// Check tells whether a node can run here and, if not, what to do instead.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("starting Kubernetes without Docker needs root, for namespaces and containerd; run this as root, " +
			"or start a Docker engine, which is then used instead (PROVIDER=kind)")
	}
	return MakeCgroup()
}

// OwnedError is returned by Reclaim when a cluster of another state directory is running.
type OwnedError struct{ Owner Owner }

func (e *OwnedError) Error() string {
	return fmt.Sprintf("a local cluster of %s is running on this machine (process %d), and there can be one at a time; "+
		"stop it there by 'make down', or by 'kill -9 %d'", e.Owner.Dir, e.Owner.PID, e.Owner.PID)
}

// Reclaim removes what is left on the machine of an earlier node, whichever state directory it belonged to: the link,
// the routes and the cgroups. A node of dir that still runs is stopped; so is one whose state directory is gone, as nobody
// can use it any more. A running node of another directory is left alone and reported as an *OwnedError.
func Reclaim(ctx context.Context, dir state.Dir) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	owner, exists, ours, err := link(ctx)
	if err != nil {
		return err
	}
	if exists && !ours {
		return fmt.Errorf("this machine has a network interface %s that is not of a local cluster; rename it", Interface)
	}
	if exists && isNode(owner.PID) {
		_, err := os.Stat(owner.Dir)
		if !owner.is(string(dir)) && err == nil {
			return &OwnedError{Owner: owner}
		}
		if process, err := state.Identify(owner.PID); err == nil {
			if err := Kill(ctx, process); err != nil {
				return err
			}
		}
	}
	if err := removeLink(ctx); err != nil {
		return err
	}
	return removeCgroups(ctx)
}

// Kill ends a node: its first process takes all others, their mounts and the network namespace along. It returns when
// the process is gone.
func Kill(ctx context.Context, process state.Process) error {
	if !process.Alive() {
		return nil
	}
	if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping the node: %w", err)
	}
	for process.Alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for process %d to end: %w", process.PID, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// removeLink deletes the interface. It usually vanished with the node's network namespace already, or is about to.
func removeLink(ctx context.Context) error {
	for {
		_, exists, _, err := link(ctx)
		if err != nil || !exists {
			return err
		}
		if _, err := ip(ctx, "link", "delete", Interface); err != nil && ctx.Err() != nil {
			return fmt.Errorf("removing the link to the node: %w", err)
		}
	}
}

func isNode(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.HasPrefix(string(cmdline), NodeProcess+"\x00")
}
