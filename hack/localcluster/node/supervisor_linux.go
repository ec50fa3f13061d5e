package node

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// restartDelay is how long a program that ended stays down, so that one which cannot start does not fill its log.
const restartDelay = time.Second

// supervisor starts programs again whenever they end. As the first process of its PID namespace it also collects
// orphans, which is why it waits for any child: waiting for single ones beside that would lose exits.
type supervisor struct {
	logs string
	log  *slog.Logger

	mu      sync.Mutex // held while a program starts, so that its exit is not seen before its number is known
	running map[int]component
}

func newSupervisor(logs string, log *slog.Logger) *supervisor {
	return &supervisor{logs: logs, log: log, running: map[int]component{}}
}

// start runs c with its output appended to a log of its own.
func (s *supervisor) start(c component) error {
	path, err := exec.LookPath(c.path)
	if err != nil {
		return fmt.Errorf("finding %s: %w", c.name, err)
	}
	output, err := os.OpenFile(s.logs+"/"+c.name+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", c.name, err)
	}
	defer output.Close()
	input, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("opening the input of %s: %w", c.name, err)
	}
	defer input.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	process, err := os.StartProcess(path, append([]string{c.path}, c.args...), &os.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []*os.File{input, output, output},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	s.running[process.Pid] = c
	s.log.Info("starting", "component", c.name, "pid", process.Pid)
	// Only wait4 collects it; the handle would do so a second time.
	return process.Release()
}

// supervise collects whatever ends, for ever, and starts programs again.
func (s *supervisor) supervise() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			time.Sleep(restartDelay) // every program is down and about to be started again
			continue
		case err != nil:
			continue
		}
		s.mu.Lock()
		ended, ours := s.running[pid]
		delete(s.running, pid)
		s.mu.Unlock()
		if ours {
			s.log.Warn("starting again what ended", "component", ended.name, "exit", status.ExitStatus(), "signal", status.Signal())
			go s.restart(ended)
		}
	}
}

func (s *supervisor) restart(c component) {
	for {
		time.Sleep(restartDelay)
		err := s.start(c)
		if err == nil {
			return
		}
		s.log.Error("starting again", "component", c.name, "error", err)
	}
}
