package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// fresh waits until the instance trusts what it keeps.
func (l *library) fresh(t testing.TB) *library {
	t.Helper()
	eventually(t, "the instance hears of changes", func() bool {
		return strings.Contains(l.send(t, "GET", l.ops+"/metrics", "").body, "\ncache_invalidation_doubtful 0\n")
	})
	return l
}

// hears waits until the instance knows of every change that was made before.
func (l *library) hears(t testing.TB) {
	t.Helper()
	readings := func() (n int) {
		const name = "\ncache_invalidation_readings_total{outcome=\"success\"} "
		_, after, _ := strings.Cut(l.send(t, "GET", l.ops+"/metrics", "").body, name)
		if _, err := fmt.Sscan(after, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// The next reading may have begun before; the one after it has not.
	before := readings()
	eventually(t, "the instance hears of changes", func() bool { return readings() >= before+2 })
}

// doubts is how often the instance did not trust what it keeps.
func (l *library) doubts(t testing.TB) (n int) {
	t.Helper()
	_, after, _ := strings.Cut(l.fresh(t).send(t, "GET", l.ops+"/metrics", "").body, "\ncache_invalidation_doubts_total ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// steadily makes an attempt, and another one if the instance was in doubt meanwhile: on a busy machine it may hear nothing for seconds, and
// then rightly asks again for what it keeps. An attempt returns what was wrong.
func (l *library) steadily(t testing.TB, attempt func() []string) {
	t.Helper()
	for {
		before := l.doubts(t)
		wrong := attempt()
		if len(wrong) == 0 {
			return
		}
		if l.doubts(t) == before {
			t.Error(strings.Join(wrong, "\n"))
			return
		}
	}
}

// kept returns X-Cache and the status.
func kept(r reply) string { return fmt.Sprint(r.header.Get("X-Cache"), " ", r.status) }

func TestC51AnswersAreKeptForEverybodyWhoMaySeeThem(t *testing.T) {
	l := open(t, nil)
	l.steadily(t, func() []string { return l.keeps(t) })
}

// keeps returns what is wrong with what is kept.
func (l *library) keeps(t testing.TB) (wrong []string) {
	t.Helper()
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	path := l.added(t, alice, `{"title":"Nocturne","visibility":"public"}`)
	unlisted := l.added(t, alice, `{"title":"Secret","visibility":"unlisted"}`)
	l.hears(t) // of what it wrote itself, which ends once more what it keeps
	for _, step := range []struct {
		caller     auth.Identity
		path, want string
		headers    []string
	}{
		{nobody, path, "MISS 200", nil},
		{nobody, path, "HIT 200", nil},
		{bob, path, "HIT 200", nil}, // it is the same for callers
		{alice, path, "HIT 200", nil},
		{nobody, "/api/scores", "MISS 200", nil},
		{nobody, "/api/scores?", "HIT 200", nil},
		{nobody, "/api/scores?unknown=1&page", "MISS 400", nil},
		{nobody, "/api/scores?unknown=1", "HIT 200", nil}, // nothing that is not declared counts
		{alice, "/api/scores", "BYPASS 200", nil},         // a caller's answer is the caller's own
		{alice, "/api/scores", "BYPASS 200", nil},
		{nobody, "/api/scores?limit=5&page=1", "MISS 200", nil},
		{nobody, "/api/scores?page=1&limit=5", "HIT 200", nil},
		{nobody, "/api/scores?pag%65=1&limit=%35", "HIT 200", nil},
		{nobody, "/api/scores?limit=5%26page%3D1", "MISS 400", nil},
		{nobody, "/api/scores?composer=a%26tag%3Db", "MISS 200", nil},
		{nobody, "/api/scores?composer=a&tag=b", "MISS 200", nil},
		{nobody, "/api/scores?limit=5;page=1", "BYPASS 400", nil},
		{nobody, unlisted, "MISS 200", nil},
		{nobody, unlisted, "MISS 200", nil}, // it is for those who know the address
		{nobody, "/api/scores/popular", "MISS 200", nil},
		{alice, "/api/scores/popular", "HIT 200", nil},
		{alice, "/api/favorites", "BYPASS 200", nil},
		// What a client sends has no say.
		{nobody, path, "HIT 200", []string{"Cache-Control", "no-cache, no-store, max-age=0", "Pragma", "no-cache"}},
		{nobody, path, "HIT 200", []string{"X-Cache", "MISS", "Age", "100", "Cookie", "a=b", "X-Forwarded-Host", "evil.example", "X-HTTP-Method-Override", "PUT"}},
		{nobody, path, "HIT 200", []string{"Range", "bytes=0-1", "Accept", "text/html", "Accept-Encoding", "br"}},
	} {
		got := l.as(t, step.caller, "GET", step.path, "", step.headers...)
		if kept(got) != step.want {
			fail("%s by %q: %q, want %q", step.path, step.caller.ID, kept(got), step.want)
		}
		public := strings.HasPrefix(got.header.Get("Cache-Control"), "public")
		if (public || got.header.Get("Cache-Tag") != "") && (!step.caller.IsAnonymous() || step.path == unlisted || got.status != 200) {
			fail("%s by %q may be kept by others: %v", step.path, step.caller.ID, got.header)
		}
		if (got.header.Get("X-Cache") == "HIT") != (got.header.Get("Age") != "") {
			fail("%s: Age %q with %s", step.path, got.header.Get("Age"), kept(got))
		}
	}
	id := strings.TrimPrefix(path, "/api/scores/")
	if got := l.as(t, nobody, "GET", path, "").header.Get("Cache-Tag"); got != "score:"+id {
		fail("Cache-Tag %q", got)
	}
	if got := l.as(t, nobody, "HEAD", path, ""); kept(got) != "HIT 200" || got.body != "" || got.header.Get("Content-Length") == "" {
		fail("HEAD: %s %q", kept(got), got.body)
	}
	return wrong
}

// Whoever has an answer already is told so, whether it is kept or not, and for whoever asks.
func TestC53KeptAnswersAreNotSentAgain(t *testing.T) {
	l := open(t, nil).fresh(t)
	path := l.added(t, alice, `{"title":"Nocturne","visibility":"public"}`)
	for _, address := range []string{path, "/api/scores", "/api/scores/popular", "/api/categories", "/api/scores/search?q=nocturne", "/api/collections"} {
		for _, caller := range []auth.Identity{nobody, alice} {
			first := l.as(t, caller, "GET", address, "").is(t, 200, "")
			etag := first.header.Get("ETag")
			if etag == "" {
				t.Errorf("%s by %q has no ETag", address, caller.ID)
			}
			again := l.as(t, caller, "GET", address, "", "If-None-Match", etag)
			if again.status != 304 || again.body != "" || again.header.Get("ETag") != etag || again.header.Get("Cache-Control") != first.header.Get("Cache-Control") {
				t.Errorf("%s by %q: %d %q %v", address, caller.ID, again.status, again.body, again.header)
			}
			l.as(t, caller, "GET", address, "", "If-None-Match", `"other"`).is(t, 200, "")
		}
	}
}

func TestC54AdminsPurge(t *testing.T) {
	url := scorestest.URL(t)
	first, second := run(t, url, nil).fresh(t), run(t, url, nil).fresh(t)
	path := first.added(t, alice, `{"title":"Nocturne","visibility":"public"}`)
	id := strings.TrimPrefix(path, "/api/scores/")
	const list = "/api/scores?limit=5"
	warm := func() {
		second.hears(t)
		for _, l := range []*library{first, second} {
			for _, address := range []string{path, list} {
				eventually(t, "it is kept", func() bool { return kept(l.as(t, nobody, "GET", address, "")) == "HIT 200" })
			}
		}
	}
	purged := 0
	for name, tc := range map[string]struct {
		body       string
		gone, stay string
	}{
		"by tag": {`{"tags":["score:` + id + `"]}`, path, list},
		"by key": {`{"keys":["` + list + `"]}`, list, path},
		"all":    {`{"all":true}`, path, ""},
	} {
		t.Run(name, func(t *testing.T) {
			second.steadily(t, func() (wrong []string) {
				warm()
				first.as(t, admin, "POST", "/api/admin/cache/purge", tc.body).is(t, 200, "")
				purged++
				if got := kept(first.as(t, nobody, "GET", tc.gone, "")); got != "MISS 200" {
					wrong = append(wrong, "on the pod that was asked: "+got)
				}
				second.hears(t)
				if got := kept(second.as(t, nobody, "GET", tc.gone, "")); got != "MISS 200" {
					wrong = append(wrong, "on the other: "+got)
				}
				if got := kept(second.as(t, nobody, "GET", tc.stay, "")); tc.stay != "" && got != "HIT 200" {
					wrong = append(wrong, tc.stay+" of the other: "+got)
				}
				return wrong
			})
		})
	}
	for _, body := range []string{`{}`, `{"all":false}`, `{"all":true,"tags":["a"]}`, `{"tags":[""]}`, `{"keys":["` + strings.Repeat("x", 1025) + `"]}`, `{"tags":["*"]}`, `{"tags":["a"],"keys":["b"]}`} {
		first.as(t, admin, "POST", "/api/admin/cache/purge", body).is(t, 400, "VALIDATION_ERROR")
	}
	first.as(t, alice, "POST", "/api/admin/cache/purge", `{"all":true}`).is(t, 403, "AUTHORIZATION_ERROR")
	first.as(t, nobody, "GET", "/api/admin/cache/stats", "").is(t, 401, "AUTHENTICATION_ERROR")
	if log := first.as(t, admin, "GET", "/api/admin/audit", "").is(t, 200, "").body; strings.Count(log, `"cache.purge"`) != min(purged, 20) {
		t.Errorf("the log holds %s", log)
	}
	stats := first.as(t, admin, "GET", "/api/admin/cache/stats", "").is(t, 200, "").data(t)
	if caches, _ := stats["caches"].([]any); len(caches) != 3 {
		t.Errorf("%v", stats)
	}
}

// What the settings say of the caches holds at once, sizes included.
func TestCacheSettingsTakeEffect(t *testing.T) {
	g := generations(t.TempDir())
	g.put(t, 1, "{}")
	l := open(t, func(c *Config) { c.SettingsDir = string(g) }).fresh(t)
	control := func() string { return l.as(t, nobody, "GET", "/api/categories", "").header.Get("Cache-Control") }
	control()
	g.put(t, 2, "cache: {browser: {maxAge: 5m}, edge: {sizeMiB: 1, ttl: 10s, staleWhileRevalidate: 0s, staleIfError: 0s}, application: {sizeMiB: 0}}")
	eventually(t, "the answers say so", func() bool { return control() == "public, max-age=300, s-maxage=10" })
	metrics := l.send(t, "GET", l.ops+"/metrics", "").body
	for _, line := range []string{`cache_max_bytes{cache="edge"} 1.048576e+06`, `cache_max_bytes{cache="application"} 0`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	g.put(t, 3, "cache: {edge: {sizeMiB: 0}}")
	eventually(t, "nothing is kept", func() bool { return kept(l.as(t, nobody, "GET", "/api/categories", "")) == "BYPASS 200" })
}

// While the database is away, what was known is shown and says that it is stale; the rest is refused.
func TestStaleWhileTheDatabaseIsAway(t *testing.T) {
	url := scorestest.URL(t)
	name := url[strings.LastIndex(url, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	l := run(t, url, nil).fresh(t)
	path := l.added(t, alice, `{"title":"Nocturne","visibility":"public"}`)
	private := l.added(t, alice, `{"title":"Mine"}`)
	l.hears(t) // of what it wrote itself, which ends once more what it keeps
	l.as(t, nobody, "GET", path, "").is(t, 200, "")
	want := l.as(t, alice, "GET", private, "").is(t, 200, "").body
	const mine = "/api/scores?owner=me"
	l.as(t, alice, "GET", mine, "").is(t, 200, "")
	closeDatabase(t, url, name)
	for _, tc := range []struct {
		caller     auth.Identity
		path, want string
	}{
		{nobody, path, "STALE 200"},
		{alice, private, "STALE 200"},
		{alice, mine, "STALE 200"},
		{bob, private, "BYPASS 404"},
		{bob, mine, "BYPASS 503"},
	} {
		eventually(t, tc.path+" is shown all the same", func() bool { return kept(l.as(t, tc.caller, "GET", tc.path, "")) == tc.want })
	}
	if got := l.as(t, alice, "GET", private, "").body; got != want {
		t.Errorf("shown %s, want %s", got, want)
	}
	l.as(t, nobody, "GET", "/api/scores?limit=7", "").is(t, 503, "SERVICE_ERROR")
	l.as(t, alice, "PUT", private, `{"title":"x"}`).is(t, 503, "SERVICE_ERROR")
	reopenDatabase(t, url, name)
	eventually(t, "the database is asked again", func() bool { return kept(l.as(t, nobody, "GET", path, "")) == "HIT 200" })
}

// serverOf is a connection to another database of the same server.
func serverOf(t testing.TB, address string) *sql.DB {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Path = "/postgres"
	db, err := sql.Open("postgres", parsed.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// closeDatabase lets nobody connect to the database any more.
func closeDatabase(t testing.TB, address, name string) {
	t.Helper()
	db := serverOf(t, address)
	for _, text := range []string{
		fmt.Sprintf("alter database %q with allow_connections false", name),
		fmt.Sprintf("select pg_terminate_backend(pid) from pg_stat_activity where datname = '%s'", name),
	} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}

func reopenDatabase(t testing.TB, address, name string) {
	t.Helper()
	if _, err := serverOf(t, address).ExecContext(t.Context(), fmt.Sprintf("alter database %q with allow_connections true", name)); err != nil {
		t.Fatal(err)
	}
}

// fleetTest is three instances with caches and one without, on one database.
type fleetTest struct {
	t      testing.TB
	random *rand.Rand
	pods   []*library
	plain  *library
	people []auth.Identity
	// things are the paths of what was made.
	things []string
}

// told is what an answer tells; what differs from request to request, or tells of caches, is left out.
func told(r reply) map[string]string {
	body := r.body
	if r.status >= 400 { // it holds the ID of the request
		body, _, _ = strings.Cut(body, `,"requestId"`)
	}
	return map[string]string{"status": http.StatusText(r.status), "body": body, "ETag": r.header.Get("ETag"), "Location": r.header.Get("Location")}
}

func (f *fleetTest) anyone() auth.Identity { return f.people[f.random.IntN(len(f.people))] }

// read is the path of something to read.
func (f *fleetTest) read() string {
	fixed := []string{
		"/api/scores", "/api/scores?limit=3&sort=title", "/api/scores?owner=alice", "/api/scores?visibility=private", "/api/scores/recent", "/api/scores/search?q=piece",
		"/api/scores/popular?limit=5", "/api/collections", "/api/collections?owner=bob", "/api/collections/featured", "/api/categories", "/api/favorites",
	}
	n := f.random.IntN(len(fixed) + 3*len(f.things))
	if n < len(fixed) {
		return fixed[n]
	}
	path := f.things[(n-len(fixed))%len(f.things)]
	if f.random.IntN(3) == 0 {
		if strings.HasPrefix(path, "/api/collections") {
			return path + "/scores"
		}
		return path + "/categories"
	}
	return path
}

// write changes something, on a pod.
func (f *fleetTest) write(pod *library) {
	caller := f.anyone()
	visibility := []string{"private", "unlisted", "public"}[f.random.IntN(3)]
	thing := f.things[f.random.IntN(len(f.things))]
	title := fmt.Sprintf("Piece %d of %s", f.random.IntN(1000), caller.ID)
	isScore := strings.HasPrefix(thing, "/api/scores")
	switch what := f.random.IntN(8); {
	case what == 0 && !caller.IsAnonymous():
		body := fmt.Sprintf(`{"title":%q,"visibility":%q}`, title, visibility)
		f.things = append(f.things, pod.as(f.t, caller, "POST", "/api/scores", body).is(f.t, 201, "").header.Get("Location"))
	case what == 1 && !caller.IsAnonymous():
		body := fmt.Sprintf(`{"name":%q,"visibility":%q}`, title, visibility)
		f.things = append(f.things, pod.as(f.t, caller, "POST", "/api/collections", body).is(f.t, 201, "").header.Get("Location"))
	case what == 2:
		pod.as(f.t, caller, "DELETE", thing, "")
	case what == 3 && isScore:
		pod.as(f.t, caller, "PUT", "/api/favorites/"+strings.TrimPrefix(thing, "/api/scores/"), "")
	case what == 4 && isScore:
		for _, other := range f.things {
			if strings.HasPrefix(other, "/api/collections") {
				pod.as(f.t, caller, "PUT", other+"/scores/"+strings.TrimPrefix(thing, "/api/scores/"), "")
			}
		}
	case what == 5 && !isScore:
		pod.as(f.t, admin, "PUT", thing+"/featured", "")
		pod.as(f.t, admin, "PUT", thing+"/shares/bob", "")
	case isScore:
		pod.as(f.t, caller, "PUT", thing, fmt.Sprintf(`{"title":%q,"visibility":%q}`, title, visibility))
	default:
		pod.as(f.t, caller, "PUT", thing, fmt.Sprintf(`{"name":%q,"visibility":%q}`, title, visibility))
	}
}

// Random people do random things on random pods. Whatever anybody reads on the pod where something was just written is what a service without
// caches shows to that same person; on the others it is so soon after. So nobody is ever shown what is another's.
func TestFleetShowsEverybodyTheirOwnAndNothingOld(t *testing.T) {
	address, off := scorestest.URL(t), generations(t.TempDir())
	const lax = "rateLimits: {address: {requests: 1000000, window: 1s}, default: {requests: 1000000, window: 1s}, tiers: []}\n"
	off.put(t, 1, lax+"cache: {edge: {sizeMiB: 0}, application: {sizeMiB: 0}, query: {sizeMiB: 0}}")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := &fleetTest{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), people: []auth.Identity{nobody, nobody, alice, bob, teacher, admin},
		plain: run(t, address, func(c *Config) { c.SettingsDir = string(off) }),
	}
	on := func(c *Config) {
		dir := generations(t.TempDir())
		dir.put(t, 1, lax)
		c.SettingsDir = string(dir)
	}
	for range 3 {
		f.pods = append(f.pods, run(t, address, on).fresh(t))
	}
	f.things = []string{f.plain.added(t, alice, `{"title":"Piece 0 of alice"}`), f.plain.as(t, bob, "POST", "/api/collections", `{"name":"Piece 0 of bob"}`).is(t, 201, "").header.Get("Location")}
	outcomes := map[string]int{}
	const rounds, each = 120, 40
	for round := range rounds {
		// What was written on another pod may take a moment, so before the pod changes that writes, all have heard of everything.
		writer := f.pods[round/each%len(f.pods)]
		if round%each == 0 {
			for _, pod := range f.pods {
				pod.hears(t)
			}
		}
		f.write(writer)
		for range 4 {
			caller, path := f.anyone(), f.read()
			got, want := writer.as(t, caller, "GET", path, ""), f.plain.as(t, caller, "GET", path, "")
			if diff := cmp.Diff(told(want), told(got)); diff != "" {
				t.Fatalf("%s by %q, on the pod of the write (-without caches +with):\n%s", path, caller.ID, diff)
			}
			outcomes[got.header.Get("X-Cache")]++
			other := f.pods[f.random.IntN(3)]
			eventually(t, path+" is shown on the other pod", func() bool { return cmp.Equal(told(want), told(other.as(t, caller, "GET", path, ""))) })
		}
	}
	if outcomes["HIT"] == 0 || outcomes["MISS"] == 0 || outcomes["BYPASS"] == 0 {
		t.Errorf("the test tried nothing: %v", outcomes)
	}
}
