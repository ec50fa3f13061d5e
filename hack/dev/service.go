package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

const (
	readyPatience = 20 * time.Second
	// tokenLife is long enough for a working day that begins with one in hand.
	tokenLife = 24 * time.Hour
	tailLines = 20
)

// service is all instances together. prepare comes before start, start before the rest.
type service struct {
	home        *home
	config      config
	databaseURL string
	settings    string // the file that a developer edits

	secret    string
	tokens    tokens
	instances []*instance
}

// tokens are access tokens, by whom they are for.
type tokens struct {
	alice, bob, teacher, admin string
}

// instance is one process of the service.
type instance struct {
	number  int
	address address
	process *os.Process
	done    chan struct{}
}

func (s *service) addresses() []address { return s.config.addresses() }

// prepare brings the schema to the state of the sources, writes the settings, and mints the tokens.
func (s *service) prepare(ctx context.Context) (err error) {
	if s.settings, err = s.home.makeSettings(); err != nil {
		return err
	}
	if s.secret, err = s.home.jwtSecret(); err != nil {
		return err
	}
	if _, err := s.call(ctx, "migrate", "up"); err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	for _, who := range []struct {
		user, role string
		token      *string
	}{
		{"alice", "user", &s.tokens.alice},
		{"bob", "user", &s.tokens.bob},
		{"teacher", "teacher", &s.tokens.teacher},
		{"admin", "admin", &s.tokens.admin},
	} {
		out, err := s.call(ctx, "token", "--user", who.user, "--role", who.role, "--ttl", tokenLife.String())
		if err != nil {
			return fmt.Errorf("making a token for %s: %w", who.user, err)
		}
		*who.token = strings.TrimSpace(out)
	}
	return nil
}

// call runs the program to its end and returns what it printed.
func (s *service) call(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.home.program(), args...)
	cmd.Env = s.env(address{})
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLines(stderr.String()+stdout.String(), tailLines))
	}
	return stdout.String(), nil
}

// env is the environment of this process without what would lead the service elsewhere.
func (s *service) env(a address) []string {
	ours := map[string]string{
		contract.EnvEnvironment: "development",
		contract.EnvRelease:     "dev",
		"DATABASE_URL":          s.databaseURL,
		"JWT_SECRET":            s.secret,
		"API_ADDR":              strings.TrimPrefix(a.api(), "http://"),
		"OPS_ADDR":              strings.TrimPrefix(a.ops(), "http://"),
		"DRAIN_DELAY":           "0s", // nobody balances over these instances
		"SHUTDOWN_TIMEOUT":      "5s",
		contract.EnvSettingsDir: s.home.settings(),
		"STORAGE":               s.home.path("files"),
	}
	foreign := []string{
		contract.EnvDatabaseURLFile, contract.EnvJWTSecretFile, contract.EnvJWTPreviousSecretFile, "JWT_PREVIOUS_SECRET",
		contract.EnvJWTIssuer, contract.EnvJWTAudience, contract.EnvSettingsGenerationFile,
	}
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, isOurs := ours[name]
		return isOurs || slices.Contains(foreign, name)
	})
	for name, value := range ours {
		env = append(env, name+"="+value)
	}
	return env
}

// start starts every instance and returns when all are ready.
func (s *service) start(ctx context.Context) error {
	for i, a := range s.addresses() {
		in := &instance{number: i + 1, address: a, done: make(chan struct{})}
		if err := s.launch(in); err != nil {
			return fmt.Errorf("starting instance %d: %w", in.number, err)
		}
	}
	for _, in := range s.instances {
		if err := s.awaitReady(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) launch(in *instance) error {
	log, err := os.OpenFile(s.home.log(in.number), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()             // the child has its own descriptor
	cmd := exec.Command(s.home.program(), "serve") //nolint:noctx // ended in order by stop
	cmd.Env = s.env(in.address)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	started := make(chan error)
	go func() {
		// The signal on our death is sent when the thread that forks ends, so it has to last as long as the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(in.done)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	in.process = cmd.Process
	s.instances = append(s.instances, in)
	return os.WriteFile(s.home.pidFile(in.number), []byte(strconv.Itoa(in.process.Pid)+"\n"), 0o600)
}

func (s *service) awaitReady(ctx context.Context, in *instance) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !isReady(ctx, in.address.ops()+contract.ReadyzPath) {
		select {
		case <-in.done:
			return s.ended(in)
		case <-ctx.Done():
			return fmt.Errorf("instance %d is not ready: %w; its log ends with:\n%s", in.number, ctx.Err(), tail(s.home.log(in.number)))
		case <-tick.C:
		}
	}
	return nil
}

func isReady(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

func (s *service) ended(in *instance) error {
	return fmt.Errorf("instance %d at %s has ended; its log (%s) ends with:\n%s",
		in.number, in.address.api(), s.home.log(in.number), tail(s.home.log(in.number)))
}

// supervise returns nil when ctx ends, and an error when something dies before.
func (s *service) supervise(ctx context.Context, database *pgserver.Server) error {
	dead := make(chan *instance, len(s.instances))
	for _, in := range s.instances {
		go func() {
			<-in.done
			dead <- in
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case in := <-dead:
		return s.ended(in)
	case <-database.Done():
		return fmt.Errorf("the database has ended; its log (%s) ends with:\n%s", database.LogFile(), tail(database.LogFile()))
	}
}

// stop ends all instances at once, politely first.
func (s *service) stop() {
	for _, in := range s.instances {
		_ = in.process.Signal(syscall.SIGTERM) // it fails only if the process has ended, which is what is wanted
	}
	patience := time.After(stopPatience)
	for _, in := range s.instances {
		select {
		case <-in.done:
		case <-patience:
			_ = in.process.Kill()
			<-in.done
		}
		_ = os.Remove(s.home.pidFile(in.number)) // the next run would find that nothing runs
	}
}

// tail returns the end of a file, or why it cannot be read.
func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(content), tailLines)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
