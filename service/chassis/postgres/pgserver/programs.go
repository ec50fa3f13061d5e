package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// EnvPrograms names the environment variable with the directory of initdb and postgres. If it is set, no other place
// is looked at.
const EnvPrograms = "PG_BIN"

// ErrNotInstalled is what Start returns, wrapped, when there are no server programs on this machine.
var ErrNotInstalled = errors.New("no PostgreSQL server programs (initdb, postgres) found on PATH or in /usr/lib/postgresql/*/bin: " +
	"install them (on Debian and Ubuntu: apt-get install postgresql) or set " + EnvPrograms + " to their directory")

// programs is the directory that holds initdb and postgres of one PostgreSQL.
type programs string

func (p programs) initdb() string   { return filepath.Join(string(p), "initdb") }
func (p programs) postgres() string { return filepath.Join(string(p), "postgres") }

// complete is false where only the client programs are installed, which is common.
func (p programs) complete() bool {
	for _, path := range []string{p.initdb(), p.postgres()} {
		//nolint:gosec // whoever sets PG_BIN chooses the directory
		if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// findPrograms looks at EnvPrograms, then on PATH, then where Debian puts them, newest version first.
func findPrograms(debianRoot string) (programs, error) {
	if dir := os.Getenv(EnvPrograms); dir != "" {
		if p := programs(dir); p.complete() {
			return p, nil
		}
		return "", fmt.Errorf("%s is %s, which does not hold initdb and postgres", EnvPrograms, dir)
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		// On PATH there are often links; postgres finds its other files beside the real program.
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		if p := programs(filepath.Dir(path)); p.complete() {
			return p, nil
		}
	}
	dirs, err := filepath.Glob(filepath.Join(debianRoot, "*", "bin"))
	if err != nil {
		return "", fmt.Errorf("looking for PostgreSQL in %s: %w", debianRoot, err)
	}
	slices.SortFunc(dirs, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
	for _, dir := range dirs {
		if p := programs(dir); p.complete() {
			return p, nil
		}
	}
	return "", ErrNotInstalled
}

// majorVersion reads the 15 of /usr/lib/postgresql/15/bin; anything that is no number sorts last.
func majorVersion(binDir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(binDir)))
	if err != nil {
		return 0
	}
	return n
}
