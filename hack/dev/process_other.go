//go:build !linux

package main

import "syscall"

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// runs cannot tell here; a port that is in use is then named to the user.
func runs(int, string) bool { return false }
