// Package debian installs Debian packages for their programs. It owns finding out what is missing, installing it without
// questions, and seeing to it that no service starts on the machine just because a package brought one along.
package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// policyFile is asked by Debian's package scripts before they start a service.
const policyFile = "/usr/sbin/policy-rc.d"

// policy forbids every start.
const policy = "#!/bin/sh\nexit 101\n"

// systemdRunning exists where systemd is the machine's init.
const systemdRunning = "/run/systemd/system"

// Ensure installs those of packages that are missing and writes what apt-get says to out. Without a missing package it
// changes nothing and needs no privileges; otherwise it needs root. Services that the new packages bring are neither
// started nor left to start with the machine.
func Ensure(ctx context.Context, out io.Writer, packages ...string) error {
	before, err := installed(ctx)
	if err != nil {
		return err
	}
	absent := missing(before, packages)
	if len(absent) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("these Debian packages are missing and only root can install them: apt-get install %s",
			strings.Join(absent, " "))
	}
	restore, err := forbidServices(policyFile)
	if err != nil {
		return err
	}
	defer restore()
	if err := run(ctx, out, "apt-get", "update", "--quiet"); err != nil {
		return err
	}
	if err := run(ctx, out, "apt-get", installArguments(absent)...); err != nil {
		return err
	}
	after, err := installed(ctx)
	if err != nil {
		return err
	}
	return disableServices(ctx, out, added(before, after))
}

func installArguments(packages []string) []string {
	return append([]string{"install", "--yes", "--quiet", "--no-install-recommends", "--"}, packages...)
}

// installed returns the names of all packages of this machine that are installed completely.
func installed(ctx context.Context) (map[string]bool, error) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("this machine has no dpkg, so its packages cannot be looked up; " +
			"a node without Docker needs Debian or a system made from it")
	}
	if err != nil {
		return nil, fmt.Errorf("listing the installed packages: %w", err)
	}
	return parseInstalled(out), nil
}

func parseInstalled(list []byte) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		if name, status, _ := strings.Cut(strings.TrimSpace(line), " "); status == "installed" {
			names[name] = true
		}
	}
	return names
}

// missing keeps the order of wanted.
func missing(present map[string]bool, wanted []string) []string {
	var absent []string
	for _, name := range wanted {
		if !present[name] {
			absent = append(absent, name)
		}
	}
	return absent
}

func added(before, after map[string]bool) []string {
	var names []string
	for name := range after {
		if !before[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// forbidServices puts a policy in place for as long as packages are installed. One that is there already was put there
// by the machine's owner and stays.
func forbidServices(path string) (restore func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keeping services from starting: %w", err)
	}
	defer file.Close()
	restore = func() { _ = os.Remove(path) } // when it is gone already, all the better
	if _, err := file.WriteString(policy); err != nil {
		restore()
		return nil, fmt.Errorf("keeping services from starting: %w", err)
	}
	return restore, nil
}

// disableServices stops the services of packages and takes them out of the machine's start, where systemd rules.
func disableServices(ctx context.Context, out io.Writer, packages []string) error {
	if !exists(systemdRunning) {
		return nil
	}
	for _, name := range packages {
		files, err := exec.CommandContext(ctx, "dpkg-query", "--listfiles", name).Output()
		if err != nil {
			return fmt.Errorf("listing the files of %s: %w", name, err)
		}
		if units := serviceUnits(files); len(units) > 0 {
			if err := run(ctx, out, "systemctl", append([]string{"disable", "--now"}, units...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// serviceUnits picks the units that can be named to systemctl; templates cannot.
func serviceUnits(files []byte) []string {
	var units []string
	for line := range bytes.Lines(files) {
		path := strings.TrimSpace(string(line))
		unit := filepath.Base(path)
		if strings.HasSuffix(filepath.Dir(path), "/systemd/system") && !strings.Contains(unit, "@") &&
			slices.Contains([]string{".service", ".socket", ".timer"}, filepath.Ext(unit)) {
			units = append(units, unit)
		}
	}
	return units
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func run(ctx context.Context, out io.Writer, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var said bytes.Buffer
	both := io.MultiWriter(out, &said) // one writer for both outputs, so that they are not written at once
	command.Stdout, command.Stderr = both, both
	if err := command.Run(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(args, " "), err, said.String())
	}
	return nil
}
