package main

import (
	"bytes"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

var rotations = flag.Int("rotations", 2, "how often to rotate credentials under load")

// replace puts a secret into a file at once, as the kubelet does.
func replace(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// callers are clients that call until they are ended, and count what went wrong.
type callers struct {
	requests, failures atomic.Int64
	first              atomic.Value
	running            sync.WaitGroup
	ended              chan struct{}
}

func startCallers(clients int, call func(client, n int) (*http.Request, error)) *callers {
	c := &callers{ended: make(chan struct{})}
	for client := range clients {
		c.running.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-c.ended:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if err := c.send(call(client, n)); err != nil {
					c.failures.Add(1)
					c.first.CompareAndSwap(nil, err.Error())
				}
			}
		})
	}
	return c
}

func (c *callers) send(req *http.Request, err error) error {
	if err != nil {
		return err
	}
	c.requests.Add(1)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %d %.200s", req.Method, req.URL.Path, res.StatusCode, body)
	}
	return err
}

func (c *callers) end(t *testing.T) {
	t.Helper()
	close(c.ended)
	c.running.Wait()
	t.Logf("%d requests through %d rotations, %d failed", c.requests.Load(), *rotations, c.failures.Load())
	if c.failures.Load() > 0 || c.requests.Load() == 0 {
		t.Errorf("%d of %d requests failed; the first: %v", c.failures.Load(), c.requests.Load(), c.first.Load())
	}
}

// loginRoles are two roles with all rights that a service needs, of which one is in use at a time.
type loginRoles struct {
	t     *testing.T
	owner *url.URL
	names [2]string
}

func newLoginRoles(t *testing.T, owner string) loginRoles {
	t.Helper()
	parsed, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(parsed.Path, "/")
	r := loginRoles{t: t, owner: parsed, names: [2]string{database + "_a", database + "_b"}}
	for _, name := range r.names {
		runSQL(t, owner, fmt.Sprintf(`create role %[1]s nologin;
			grant usage on schema public to %[1]s;
			grant select, insert, update, delete on all tables in schema public to %[1]s;
			grant usage on all sequences in schema public to %[1]s`, name))
	}
	return r
}

// admit gives a role a new password and returns the URL of whoever knows it.
func (r loginRoles) admit(i int) string {
	r.t.Helper()
	password := rand.Text()
	runSQL(r.t, r.owner.String(), fmt.Sprintf(`alter role %s login password '%s'`, r.names[i], password))
	out := *r.owner
	out.User = url.UserPassword(r.names[i], password)
	return out.String()
}

// The password of the database changes while requests are served, by two roles that take turns: none of them fails, and soon
// nobody uses the role before, so that it can be shut out.
func TestDatabasePasswordRotatesUnderLoad(t *testing.T) {
	owner := scorestest.URL(t)
	roles := newLoginRoles(t, owner)
	path := filepath.Join(t.TempDir(), "url")
	replace(t, path, roles.admit(0))
	cfg := testConfig("")
	cfg.DatabaseURL = secret.FromFile(path)
	i := startService(t, cfg)
	i.await(t, http.StatusOK, `"ready"`)
	db := scorestest.Open(t, owner)
	count := db.Direct("sessions", `select count(*) from pg_stat_activity where usename = $1`)
	load := startCallers(4, func(client, n int) (*http.Request, error) {
		method, path, body := http.MethodGet, fmt.Sprintf("/api/scores?page=%d", n%5+1), ""
		if client%2 == 0 {
			method, path, body = http.MethodPost, "/api/scores", `{"title":"Nocturne"}`
		}
		req, err := http.NewRequestWithContext(t.Context(), method, i.api+path, strings.NewReader(body))
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+i.token)
			req.Header.Set("Content-Type", "application/json")
		}
		return req, err
	})
	for n := range *rotations {
		replace(t, path, roles.admit((n+1)%2))
		eventually(t, "nobody uses the role before", func() bool {
			var sessions int
			if err := count.QueryRow(t.Context(), []any{&sessions}, roles.names[n%2]); err != nil {
				t.Fatal(err)
			}
			return sessions == 0
		})
		runSQL(t, owner, "alter role "+roles.names[n%2]+" nologin")
	}
	load.end(t)
	if text := i.log.String(); strings.Contains(text, "Keeping the database URL") {
		t.Error("a URL was refused")
	}
}

// signing is a pod's directory of signing secrets.
type signing string

func (s signing) file(name string) secret.Source {
	return secret.FromFile(filepath.Join(string(s), "data", name))
}

// put changes both secrets at once, as the kubelet does: by another directory under the same name.
func (s signing) put(t testing.TB, current, previous string) {
	t.Helper()
	dir, err := os.MkdirTemp(string(s), "") //nolint:usetesting // beside the link that leads to it, so that it is of the same file system
	if err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(dir, "secret"), current)
	replace(t, filepath.Join(dir, "previous"), previous)
	link := filepath.Join(string(s), "new")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(string(s), "data")); err != nil {
		t.Fatal(err)
	}
}

// The signing secret changes while requests are served. Each secret is known everywhere, as the previous one, before anybody signs
// with it, so it does not matter which pod hears of the change first.
func TestSigningSecretRotatesUnderLoad(t *testing.T) {
	const life = 3 * time.Second // of a token
	database := scorestest.URL(t)
	pods, configs, instances := [2]signing{}, [2]Config{}, [2]*instance{}
	current, next := rand.Text()+rand.Text(), rand.Text()+rand.Text()
	for p := range pods {
		pods[p] = signing(t.TempDir())
		pods[p].put(t, current, next)
		configs[p] = testConfig(database)
		configs[p].JWTSecret, configs[p].JWTPrevious = pods[p].file("secret"), pods[p].file("previous")
		instances[p] = startService(t, configs[p])
	}
	tokenOf := func(p int) (string, error) {
		var out bytes.Buffer
		err := printToken(&out, configs[p], auth.Identity{ID: "alice", Role: auth.RoleUser}, life)
		return strings.TrimSpace(out.String()), err
	}
	load := startCallers(4, func(client, n int) (*http.Request, error) {
		token, err := tokenOf(client % 2) // of the one pod, and shown to the other
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, instances[(client/2+n)%2].api+"/api/scores?limit=1", http.NoBody)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		return req, err
	})
	for range *rotations {
		current, next = next, current
		for p := range pods {
			pods[p].put(t, current, next)
			time.Sleep(life) // the kubelets of two nodes are never in step
		}
		next = rand.Text() + rand.Text()
		for p := range pods {
			pods[p].put(t, current, next)
		}
		time.Sleep(life)
	}
	load.end(t)
}
