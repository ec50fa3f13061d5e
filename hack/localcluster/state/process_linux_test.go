package state

import (
	"os"
	"os/exec"
	"testing"
)

func TestProcessAlive(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !self.Alive() {
		t.Error("this process is said not to run")
	}
	if (Process{PID: self.PID, Started: self.Started + 1}).Alive() {
		t.Error("a process that started at another time is taken for this one")
	}
	if (Process{}).Alive() {
		t.Error("no process is said to run")
	}

	child := exec.CommandContext(t.Context(), "cat")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	process, err := Identify(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if process.Alive() {
		t.Error("a process that ended is said to run")
	}
}
