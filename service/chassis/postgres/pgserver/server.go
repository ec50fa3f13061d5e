package pgserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lib/pq"
)

const (
	superuser = "mirubato"
	loopback  = "127.0.0.1"
	// startPatience bounds the start where the caller's context does not: recovery after a crash takes a while.
	startPatience = 60 * time.Second
	// stopPatience is how long a server that was told to stop at once may take before it is killed.
	stopPatience = 5 * time.Second
	portAttempts = 5
	// socketPort is part of the name of the socket, no port of the machine.
	socketPort = 5432
)

// Config says what kind of server to start. The zero value is a throw-away one for tests.
type Config struct {
	// Dir keeps the data, the password and the log of the server between runs. Empty means a temporary directory that
	// Stop removes.
	Dir string
	// Port of the loopback interface to listen on. Zero means any free one.
	Port int
	// Socket makes the server listen on a Unix socket below Dir instead of the loopback interface; Port means nothing then.
	// Such a server is tuned for being filled once, and read.
	Socket bool
	// Durable keeps committed data when the machine loses power. False is several times faster, for data that may go.
	Durable bool
}

// Server is a running PostgreSQL server. Its methods may be called concurrently.
type Server struct {
	dir      *directory
	account  account
	programs programs
	password string
	port     int
	socket   bool
	process  *os.Process
	admin    *sql.DB
	done     chan struct{}
	stop     sync.Once
	stopErr  error
}

// Start starts a server and returns when it answers; ctx bounds the start, not the server's life. When this process
// ends, however it ends, the server is shut down. The error is ErrNotInstalled if there is nothing to start.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	found, err := findPrograms("/usr/lib/postgresql")
	if err != nil {
		return nil, err
	}
	acct, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := openDirectory(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, account: acct, programs: found, socket: cfg.Socket}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, dir.close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cfg Config) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := s.dir.stopOrphan(); err != nil {
		return err
	}
	if s.password, err = s.dir.ensurePassword(s.account); err != nil {
		return err
	}
	if err := s.dir.initialise(s.programs, s.account); err != nil {
		return err
	}
	if s.socket {
		return s.startOnSocket(ctx, cfg)
	}
	// Between choosing a free port and using it, another process may take it.
	for range portAttempts {
		if s.port, err = choosePort(ctx, cfg.Port); err != nil {
			return err
		}
		if err := s.launch(cfg.Durable); err != nil {
			return err
		}
		if err = s.awaitReady(ctx); err == nil {
			return nil
		}
		s.kill(syscall.SIGQUIT)
		err = errors.Join(err, s.admin.Close())
		if cfg.Port != 0 || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
	return err
}

// startOnSocket needs one attempt: nobody else uses the directory.
func (s *Server) startOnSocket(ctx context.Context, cfg Config) error {
	if err := s.dir.makeSocketDirectory(s.account); err != nil {
		return err
	}
	s.port = socketPort
	if err := s.launch(cfg.Durable); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		s.kill(syscall.SIGQUIT)
		return errors.Join(err, s.admin.Close())
	}
	return nil
}

// choosePort returns wanted, or any free port for zero.
func choosePort(ctx context.Context, wanted int) (int, error) {
	if wanted != 0 {
		return wanted, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback+":0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// launch starts the process; done is closed when it has ended.
func (s *Server) launch(durable bool) error {
	paths := []string{s.dir.data()}
	if s.socket {
		paths = append(paths, s.dir.socket())
	}
	cmd, release, err := s.account.command(s.programs.postgres(), paths, func(names []string) []string {
		args := append([]string{"-D", names[0], "-p", strconv.Itoa(s.port)}, settings(durable)...)
		if s.socket {
			args = append(args, socketSettings(names[1])...)
		}
		return args
	})
	if err != nil {
		return err
	}
	defer release()
	log, err := os.OpenFile(s.dir.log(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of the server: %w", err)
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	s.done = make(chan struct{})
	if err := startOnOwnThread(cmd, s.done); err != nil {
		return fmt.Errorf("starting %s: %w", s.programs.postgres(), err)
	}
	s.process = cmd.Process
	return nil
}

// startOnOwnThread keeps the thread that forks alive as long as the child: the kernel sends the parent-death signal
// when that thread ends, not when the process does (https://go.dev/issue/27505).
func startOnOwnThread(cmd *exec.Cmd, done chan<- struct{}) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(done)
		}
	}()
	return <-started
}

// settings are the server's command line beyond where it lives.
func settings(durable bool) []string {
	values := []string{
		"listen_addresses=" + loopback,
		"unix_socket_directories=",
		"max_connections=200",
		"shared_buffers=32MB",
		"timezone=UTC",
		"log_timezone=UTC",
	}
	if !durable {
		values = append(values, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	return options(values)
}

// socketSettings come after settings and win over them. Shared memory of Kubernetes pods is 64 MB, so none is asked for.
func socketSettings(directory string) []string {
	return options([]string{
		"listen_addresses=",
		"unix_socket_directories=" + directory,
		"unix_socket_permissions=0700",
		"dynamic_shared_memory_type=mmap",
		"autovacuum=off",
		"wal_level=minimal",
		"max_wal_senders=0",
		"max_wal_size=2GB",
		"maintenance_work_mem=128MB",
	})
}

func options(values []string) []string {
	args := make([]string, 0, 2*len(values))
	for _, v := range values {
		args = append(args, "-c", v)
	}
	return args
}

// awaitReady returns nil when the server answers.
func (s *Server) awaitReady(ctx context.Context) error {
	cfg, err := pq.NewConfig(s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connecting to the server: %w", err)
	}
	// Something else may hold the port and never answer; no context ends that wait.
	cfg.ConnectTimeout = 2 * time.Second
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return fmt.Errorf("connecting to the server: %w", err)
	}
	s.admin = sql.OpenDB(connector)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pingErr := s.admin.PingContext(ctx)
		if pingErr == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("the server ended while starting: %s", s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server to answer: %w (%w); its log ends with: %s", ctx.Err(), pingErr, s.logTail())
		case <-tick.C:
		}
	}
}

func (s *Server) logTail() string {
	content, err := os.ReadFile(s.dir.log())
	if err != nil {
		return err.Error()
	}
	return lastLines(string(content), 5)
}

// URL returns the connection URL of a database, which need not exist, as the superuser. It holds the password.
func (s *Server) URL(database string) string {
	if s.socket {
		query := url.Values{"host": {s.dir.socket()}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"}}
		u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, s.password), Path: "/" + database, RawQuery: query.Encode()}
		return u.String()
	}
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// EnsureDatabase creates the database if it is not there.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	var exists bool
	const query = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
	if err := s.admin.QueryRowContext(ctx, query, name).Scan(&exists); err != nil {
		return fmt.Errorf("looking for database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name)); err != nil {
		return fmt.Errorf("creating database %s: %w", name, err)
	}
	return nil
}

// copyDatabase creates a database with the content of another one, to which nobody may be connected; the server waits some
// seconds for those who are about to leave.
func (s *Server) copyDatabase(ctx context.Context, source, name string) error {
	text := "CREATE DATABASE " + pq.QuoteIdentifier(name) + " TEMPLATE " + pq.QuoteIdentifier(source) //nolint:gosec // quoted
	if _, err := s.admin.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("copying database %s to %s: %w", source, name, err)
	}
	return nil
}

// DropDatabase removes a database and ends the sessions that use it. It is no error if there is none.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	if _, err := s.admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	return nil
}

// Done is closed when the server has ended, whether it was stopped or died.
func (s *Server) Done() <-chan struct{} { return s.done }

// LogFile is the path of what the server writes.
func (s *Server) LogFile() string { return s.dir.log() }

// Stop ends every session, shuts the server down and removes a temporary directory. When ctx ends first, the server
// is killed. Further calls wait for the first and return its error.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		err := s.admin.Close()
		_ = s.process.Signal(syscall.SIGINT) // it fails only if the process has ended, which is what is wanted
		select {
		case <-s.done:
		case <-ctx.Done():
			s.kill(syscall.SIGQUIT)
		}
		s.stopErr = errors.Join(err, s.dir.close())
	})
	return s.stopErr
}

// kill ends the process with sig, or with SIGKILL if that does not help, and returns when it has ended.
func (s *Server) kill(sig syscall.Signal) {
	_ = s.process.Signal(sig) // see Stop
	select {
	case <-s.done:
	case <-time.After(stopPatience):
		_ = s.process.Kill()
		<-s.done
	}
}
