package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/edge"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/ratelimit"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// discarding is a http.ResponseWriter that costs nothing by itself.
type discarding struct {
	header http.Header
	status int
}

func (d *discarding) Header() http.Header         { return d.header }
func (d *discarding) WriteHeader(status int)      { d.status = status }
func (d *discarding) Write(b []byte) (int, error) { return len(b), nil }

// maxAllocations is how often a cached read may take memory, with everything on.
const maxAllocations = 18

// unlimited are settings whose limits are counted, in the process, but never met.
func unlimited(tb testing.TB) settings.Settings {
	tb.Helper()
	const many = `{requests: 1000000, window: 1s}`
	s, err := settings.Decode([]byte(`rateLimits: {scope: Pod, address: ` + many + `, default: ` + many + `, tiers: []}`))
	if err != nil {
		tb.Fatal(err)
	}
	return settings.Merge(settings.Default(), s)
}

// cachedRead returns a function that serves a read whose answer is kept, to a caller with a token, with limits, log and metrics.
func cachedRead(tb testing.TB) func() {
	tb.Helper()
	info := telemetry.Info{Service: "bench", Version: "1", Environment: "bench", Release: "r1"}
	keys, err := auth.NewKeys(secret.FromValue("a signing secret for tests, long enough"), secret.Source{}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := cache.New(cache.Config{
		Name: "edge", Settings: cache.Settings{MiB: 8, TTL: time.Hour}, Validity: cache.NewValidity(time.Now, 0), Now: time.Now,
		LoadTimeout: func() time.Duration { return time.Second },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	answers := edge.New(c)
	answers.Configure(0, cache.Settings{TTL: time.Hour})
	metrics := telemetry.NewMetrics(info)
	limited := ratelimit.NewGuard(ratelimit.New(ratelimit.Config{Observer: metrics, Now: time.Now}))
	limited.Apply(unlimited(tb))
	thing := strings.Repeat("x", 900)
	router := httpapi.NewRouter()
	router.Mount(auth.NewVerifier(keys, auth.Policy{}), []httpapi.Route{{
		Method: "GET", Path: "/api/things/{id}", Access: httpapi.Anyone, Sharing: httpapi.AmongAll, Name: "getThing",
		Handler: httpapi.Handle(
			func(r *http.Request) (string, error) { return r.PathValue("id"), nil },
			func(ctx context.Context, id string) (string, error) {
				return cache.Read(ctx, c, "thing "+id, []string{"thing:" + id}, func(context.Context) (string, error) { return thing, nil })
			},
			func(found string) httpapi.Response { return httpapi.OK(found).WithVersion(1).Shared() }),
	}}, limited.Wrap, answers.Wrap)
	h := httpapi.Middleware(httpapi.Options{
		Logger: telemetry.NewLogger(telemetry.NewLines(io.Discard), slog.LevelInfo, info), Observer: metrics, Release: "r1",
		RequestTimeout: func() time.Duration { return 5 * time.Second }, MaxBody: 1 << 20,
		CORS: func() httpapi.CORS { return httpapi.CORS{} },
	}, limited.Addresses(router))
	token, err := auth.NewIssuer(keys, auth.Policy{}).Mint(auth.Identity{ID: "alice", Role: auth.RoleUser}, time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := http.NewRequestWithContext(context.Background(), "GET", "http://localhost/api/things/7", http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:1234"
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "bench")
	w := &discarding{header: make(http.Header, 16)}
	read := func(want string) {
		clear(w.header)
		h.ServeHTTP(w, r)
		if w.status != 200 || w.header.Get("X-Cache") != want {
			tb.Fatalf("%d %s, want a %s", w.status, w.header.Get("X-Cache"), want)
		}
	}
	read("MISS")
	return func() { read("HIT") }
}

func BenchmarkCachedRead(b *testing.B) {
	read := cachedRead(b)
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
}

func TestCachedReadTakesLittleMemory(t *testing.T) {
	if got := testing.AllocsPerRun(200, cachedRead(t)); got >= maxAllocations+raceCost {
		t.Errorf("a cached read takes memory %v times, want less than %d", got, maxAllocations)
	}
}
