package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes keep the terminal's Ctrl-C away from a child, which is ours to stop, and stop it when we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// runs says whether a process runs a program, also one that has been built anew since.
func runs(pid int, program string) bool {
	executable, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return err == nil && strings.TrimSuffix(executable, " (deleted)") == program
}
