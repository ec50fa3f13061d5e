package state

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Identify returns the process that has the number pid now.
func Identify(pid int) (Process, error) {
	_, started, err := stat(pid)
	return Process{PID: pid, Started: started}, err
}

// Alive tells whether this very process still runs; one that ended but was not collected by its parent does not.
func (p Process) Alive() bool {
	state, started, err := stat(p.PID)
	return err == nil && started == p.Started && state != "Z" && state != "X"
}

// stat reads the state letter and the start time of a process from its stat line.
func stat(pid int) (state string, started uint64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	// The second field is the program's name in parentheses and may itself hold blanks and parentheses.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	const stateField, startedField = 0, 19
	if len(fields) <= startedField {
		return "", 0, fmt.Errorf("looking at process %d: its stat line has %d fields", pid, len(fields))
	}
	started, err = strconv.ParseUint(fields[startedField], 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	return fields[stateField], started, nil
}
