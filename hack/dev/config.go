package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

const (
	loopback = "127.0.0.1"
	// maxPods is what the private database's connections are enough for.
	maxPods = 16
)

// config is what may be said to `make dev`.
type config struct {
	// Root of the repository.
	Root string
	// Local is the directory for everything that a run makes.
	Local string
	// Port and OpsPort are those of the first instance; the others count up.
	Port    int
	OpsPort int
	// Pods is the number of instances.
	Pods int
}

func loadConfig(getenv func(string) string) (config, error) {
	var problems []error
	number := func(name string, fallback, lowest, highest int) int {
		text := getenv(name)
		if text == "" {
			return fallback
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < lowest || n > highest {
			problems = append(problems, fmt.Errorf("%s is %q: it must be a number from %d to %d", name, text, lowest, highest))
		}
		return n
	}
	c := config{
		Port:    number("PORT", 8080, 1, 65535),
		OpsPort: number("OPS_PORT", 9090, 1, 65535),
		Pods:    number("PODS", 1, 1, maxPods),
	}
	if err := errors.Join(problems...); err != nil {
		return config{}, err
	}
	for name, first := range map[string]int{"PORT": c.Port, "OPS_PORT": c.OpsPort} {
		if last := first + c.Pods - 1; last > 65535 {
			return config{}, fmt.Errorf("%s is %d: with %d instances the last would need port %d", name, first, c.Pods, last)
		}
	}
	if c.Port < c.OpsPort+c.Pods && c.OpsPort < c.Port+c.Pods {
		return config{}, fmt.Errorf("PORT=%d and OPS_PORT=%d are too near to each other for %d instances", c.Port, c.OpsPort, c.Pods)
	}
	root, err := findRoot()
	c.Root, c.Local = root, filepath.Join(root, ".local")
	return c, err
}

// findRoot walks up to the directory that holds the service.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "scores", "main.go")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("this must be started in the repository")
		}
		dir = parent
	}
}

// address is where one instance listens.
type address struct {
	port, opsPort int
}

func (a address) api() string { return "http://" + net.JoinHostPort(loopback, strconv.Itoa(a.port)) }

func (a address) ops() string { return "http://" + net.JoinHostPort(loopback, strconv.Itoa(a.opsPort)) }

func (c config) addresses() []address {
	all := make([]address, c.Pods)
	for i := range all {
		all[i] = address{port: c.Port + i, opsPort: c.OpsPort + i}
	}
	return all
}

// checkPorts says which port is taken before anything is started.
func (c config) checkPorts(ctx context.Context) error {
	for _, a := range c.addresses() {
		for _, p := range []struct {
			port int
			name string
		}{{a.port, "PORT"}, {a.opsPort, "OPS_PORT"}} {
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(p.port)))
			if err != nil {
				return fmt.Errorf("port %d cannot be used (%w): stop what uses it, or choose another: make dev %s=%d",
					p.port, errors.Unwrap(err), p.name, (p.port+100)%65000)
			}
			if err := l.Close(); err != nil {
				return fmt.Errorf("trying port %d: %w", p.port, err)
			}
		}
	}
	return nil
}
