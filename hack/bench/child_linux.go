package main

import "syscall"

// childAttributes let a server end with us, however we end.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
