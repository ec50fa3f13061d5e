package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

const readyPatience = 30 * time.Second

// contender is one server that does the work.
type contender struct {
	name    string
	addr    string
	process *exec.Cmd
	// cached says that it may answer from memory.
	cached bool
}

// world is the database and the servers on it.
type world struct {
	cfg        config
	server     *pgserver.Server
	db         *sql.DB
	url        string
	secret     string
	token      string
	contenders []*contender
	// hot are scores that are there from the start.
	hot []string
}

// unlimited are settings under which one client may ask as much as it likes; the limits are counted all the same. The others
// have no bound on waiting for the database, so ours must not count as failed what they answer late.
const unlimited = `rateLimits:
  scope: Pod
  address: {requests: 1000000, window: 1s}
  default: {requests: 1000000, window: 1s}
  tiers: [{tier: user, requests: 1000000, window: 1s}]
resilience:
  database: {bulkhead: {wait: 4s}}
`

// uncached turns the caches of the service off.
const uncached = `cache:
  edge: {sizeMiB: 0}
  application: {sizeMiB: 0}
  query: {sizeMiB: 0}
`

// newWorld starts the database, fills it, and starts the servers.
func newWorld(ctx context.Context, cfg config) (w *world, err error) {
	w = &world{cfg: cfg}
	defer func() {
		if err != nil {
			w.close(context.WithoutCancel(ctx))
		}
	}()
	if w.server, err = pgserver.Start(ctx, pgserver.Config{Durable: true}); err != nil {
		return w, err
	}
	if err := w.server.EnsureDatabase(ctx, "bench"); err != nil {
		return w, err
	}
	w.url = w.server.URL("bench")
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	w.secret = hex.EncodeToString(raw)
	scores := filepath.Join(cfg.bin, "scores")
	if _, err := w.output(ctx, scores, "migrate", "up"); err != nil {
		return w, err
	}
	token, err := w.output(ctx, scores, "token", "--user", "alice", "--ttl", "12h")
	if err != nil {
		return w, err
	}
	w.token = strings.TrimSpace(token)
	if err := w.fill(ctx); err != nil {
		return w, err
	}
	return w, w.startAll(ctx, scores)
}

func (w *world) startAll(ctx context.Context, scores string) error {
	modules, err := w.install(ctx)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name     string
		cached   bool
		settings string
		command  []string
		env      []string
	}{
		{name: "mirubato", cached: true, settings: unlimited, command: []string{scores, "serve"}},
		{name: "mirubato, caches off", settings: unlimited + uncached, command: []string{scores, "serve"}},
		{name: "net/http", command: []string{filepath.Join(w.cfg.bin, "plain")}, env: []string{"BARE_ANSWER=" + filepath.Join(w.cfg.dir, bareAnswer)}},
		{name: "Hono", cached: true, command: []string{"node", filepath.Join(modules, "server.js")}, env: []string{"CACHE=on"}},
		{name: "Hono, cache off", command: []string{"node", filepath.Join(modules, "server.js")}},
	} {
		if s.settings != "" {
			dir, err := w.settings(s.name, s.settings)
			if err != nil {
				return err
			}
			s.env = append(s.env, "SETTINGS_DIR="+dir, "OPS_ADDR=127.0.0.1:0")
		}
		c := &contender{name: s.name, cached: s.cached}
		if err := w.start(ctx, c, s.command, s.env); err != nil {
			return fmt.Errorf("starting %s: %w", s.name, err)
		}
		if s.name == "mirubato" {
			if err := w.keepAnswer(ctx, c); err != nil {
				return fmt.Errorf("keeping an answer: %w", err)
			}
		}
	}
	return nil
}

// bareAnswer is the file that holds the answer which the bare handler writes.
const bareAnswer = "answer.json"

// keepAnswer keeps what the service answers from memory, where the first reads of a score put it.
func (w *world) keepAnswer(ctx context.Context, c *contender) error {
	const pause = 20 * time.Millisecond // what the service hears of other servers' writes ends what it has kept
	for range 100 {
		_, header, body, err := w.exchange(ctx, c, http.MethodGet, "/api/scores/"+w.hot[3], "")
		if err != nil {
			return err
		}
		if header.Get("X-Cache") != "HIT" {
			time.Sleep(pause)
			continue
		}
		for _, name := range []string{"Date", "Connection"} { // the server's own
			header.Del(name)
		}
		text, err := json.Marshal(map[string]any{"Header": header, "Body": body})
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(w.cfg.dir, bareAnswer), text, 0o600)
	}
	return errors.New("the service does not answer from memory")
}

// settings writes a directory of settings with one generation.
func (w *world) settings(name, text string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(w.cfg.dir, "settings", strings.ReplaceAll(name, " ", "-")))
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "1.yaml"), []byte(text), 0o600), os.WriteFile(filepath.Join(dir, "current"), []byte("1"), 0o600))
}

// install copies the Node program and fetches what it needs, as its lockfile says.
func (w *world) install(ctx context.Context) (string, error) {
	dir := filepath.Join(w.cfg.dir, "hono")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json", "server.js"} {
		content, err := os.ReadFile(filepath.Join(w.cfg.sources, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return dir, nil
}

func (w *world) env(more ...string) []string {
	return append(os.Environ(), append([]string{"DATABASE_URL=" + w.url, "JWT_SECRET=" + w.secret, "LOG_LEVEL=info", "NODE_ENV=production"}, more...)...)
}

func (w *world) output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var problem bytes.Buffer
	cmd.Env, cmd.Stderr = w.env(), &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, args[0], err, &problem)
	}
	return string(out), nil
}

// start runs a server and waits until it answers. Its log goes to a file, as it would in production.
func (w *world) start(ctx context.Context, c *contender, command, env []string) error {
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.addr = lis.Addr().String()
	if err := lis.Close(); err != nil {
		return err
	}
	output, err := os.Create(filepath.Join(w.cfg.dir, strings.NewReplacer(" ", "-", "/", "-").Replace(c.name)+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()                // the server has its own descriptor
	c.process = exec.Command(command[0], command[1:]...) //nolint:noctx // it is ended by close
	c.process.Env = w.env(append(env, "API_ADDR="+c.addr)...)
	c.process.Stdout, c.process.Stderr = output, output
	c.process.SysProcAttr = childAttributes()
	if err := c.process.Start(); err != nil {
		return err
	}
	w.contenders = append(w.contenders, c)
	deadline := time.Now().Add(readyPatience)
	for {
		status, _, err := w.ask(ctx, c, http.MethodGet, "/api/scores/"+w.hot[0], "")
		if err == nil && status == http.StatusOK {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer: status %d, %w; see %s", status, err, output.Name())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// fill writes the library: public scores of alice and of others.
func (w *world) fill(ctx context.Context) (err error) {
	if w.db, err = sql.Open("postgres", w.url); err != nil {
		return err
	}
	const insert = `insert into scores (id, owner_id, title, composer, tags, metadata, visibility, created_at)
	select gen_random_uuid(), case when n % 10 = 0 then 'alice' else 'user-' || n % 100 end, 'Étude No. ' || n,
		'Composer ' || n % 50, array['study', 'grade ' || n % 8], jsonb_build_object('source', 'bench', 'number', n), 'public',
		now() - n * interval '1 minute'
	from generate_series(1, $1::int) n`
	if _, err := w.db.ExecContext(ctx, insert, w.cfg.rows); err != nil {
		return fmt.Errorf("filling the library: %w", err)
	}
	if _, err := w.db.ExecContext(ctx, "vacuum analyze"); err != nil {
		return err
	}
	rows, err := w.db.QueryContext(ctx, "select id from scores where owner_id = 'alice' order by created_at desc limit 100")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		w.hot = append(w.hot, id)
	}
	return rows.Err()
}

// tidy removes what a measurement has created, so that each begins with the same library.
func (w *world) tidy(ctx context.Context) error {
	if _, err := w.db.ExecContext(ctx, "delete from scores where title like 'Bench %' and metadata = '{}'"); err != nil {
		return err
	}
	_, err := w.db.ExecContext(ctx, "vacuum scores, score_cards")
	return err
}

func (w *world) close(ctx context.Context) {
	for _, c := range w.contenders {
		_ = c.process.Process.Signal(syscall.SIGTERM)
	}
	for _, c := range w.contenders {
		_ = c.process.Wait()
	}
	if w.db != nil {
		_ = w.db.Close()
	}
	if w.server != nil {
		if err := w.server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
}

// ask sends one request by a client that keeps nothing.
func (w *world) ask(ctx context.Context, c *contender, method, path, body string) (int, []byte, error) {
	status, _, text, err := w.exchange(ctx, c, method, path, body)
	return status, text, err
}

// exchange asks over a connection of its own and reads the whole answer.
func (w *world) exchange(ctx context.Context, c *contender, method, path, body string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.token)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: readyPatience}).Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, text, err
}

// spent is the processor time and the memory of a server's process.
func (c *contender) spent() (cpu time.Duration, resident float64, err error) {
	dir := "/proc/" + strconv.Itoa(c.process.Process.Pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // state is the first field after the name, user and system time the 12th and 13th
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return 0, 0, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	user, userErr := strconv.ParseInt(fields[11], 10, 64)
	system, systemErr := strconv.ParseInt(fields[12], 10, 64)
	pages, pagesErr := strconv.ParseInt(fields[21], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	return time.Duration(user+system) * tick, float64(pages) * float64(os.Getpagesize()) / 1e6, errors.Join(userErr, systemErr, pagesErr)
}
