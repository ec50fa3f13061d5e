//go:build !linux

package state

// Alive is false: only native nodes are recorded with a process, and those run on Linux.
func (p Process) Alive() bool { return false }
