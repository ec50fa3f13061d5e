package site_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores/site"
)

// unmeasured counts nothing.
type unmeasured struct{}

func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}

func newHandler() http.Handler {
	router := httpapi.NewRouter()
	router.Mount(httpapi.OpenGuard{}, site.Routes())
	return httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: unmeasured{}, Release: "r1", RequestTimeout: httpapi.Fixed(time.Second), MaxBody: 1,
	}, router)
}

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// addresses are those of what the page loads.
var addresses = regexp.MustCompile(`(?:href|src)="(/site/[0-9a-f]{24}/[a-z.]+)"`)

func TestPageLoadsItsFiles(t *testing.T) {
	h := newHandler()
	index := get(t, h, "/")
	found := addresses.FindAllStringSubmatch(index.Body.String(), -1)
	if index.Code != http.StatusOK || len(found) < 4 || strings.Contains(index.Body.String(), "{{") {
		t.Fatalf("%d %s", index.Code, index.Body)
	}
	imports := regexp.MustCompile(`from '\./([a-z.]+)'`)
	seen := map[string]bool{}
	for queue := found; len(queue) > 0; queue = queue[1:] {
		address := queue[0][1]
		if seen[address] {
			continue
		}
		seen[address] = true
		file := get(t, h, address)
		if file.Code != http.StatusOK || file.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d %v", address, file.Code, file.Header())
		}
		directory := address[:strings.LastIndex(address, "/")+1]
		for _, other := range imports.FindAllStringSubmatch(file.Body.String(), -1) {
			queue = append(queue, []string{"", directory + other[1]})
		}
	}
	if len(seen) < 8 {
		t.Errorf("it loads only %v", seen)
	}
}

func TestEveryPageIsTheSameAndAskedForAgain(t *testing.T) {
	h := newHandler()
	index := get(t, h, "/")
	for _, path := range []string{"/", "/sign-in", "/scores/0b6d1f9e-8a3e-4d61-9f5a-0d7d0c9a5b11", "/?q=x"} {
		got := get(t, h, path, "Authorization", "Bearer x", "Cookie", "a=b")
		if got.Code != http.StatusOK || got.Body.String() != index.Body.String() || got.Header().Get("Cache-Control") != "public, no-cache" ||
			got.Header().Get("Set-Cookie") != "" || got.Header().Get("X-Release") != "r1" || got.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %v", path, got.Code, got.Header())
		}
		again := get(t, h, path, "If-None-Match", got.Header().Get("ETag"))
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s again: %d", path, again.Code)
		}
	}
}

func TestPolicyAllowsNothingOfOthers(t *testing.T) {
	policy := get(t, newHandler(), "/").Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s lacks %s", policy, want)
		}
	}
	for _, never := range []string{"unsafe", "http", "*", "data:"} {
		if strings.Contains(policy, never) {
			t.Errorf("%s has %s", policy, never)
		}
	}
}

// While two releases serve, the page of one may ask the other for its files.
func TestFilesOfAnotherReleaseAreNotKept(t *testing.T) {
	h := newHandler()
	got := get(t, h, "/site/0123456789abcdef01234567/start.js")
	if got.Code != http.StatusOK || got.Header().Get("Cache-Control") != "public, no-cache" {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	for _, path := range []string{"/site/x/index.html", "/site/x/..%2fsite.go", "/site/x/absent.js"} {
		if got := get(t, h, path); got.Code != http.StatusNotFound || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, got.Code, got.Header())
		}
	}
}

func TestFilesArePackedForWhoeverUnpacks(t *testing.T) {
	h := newHandler()
	plain := get(t, h, "/")
	for accepts, packs := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "identity": false,
	} {
		got := get(t, h, "/", "Accept-Encoding", accepts)
		if (got.Header().Get("Content-Encoding") == "gzip") != packs || got.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accepts, got.Header())
		}
		if !packs {
			continue
		}
		if got.Header().Get("ETag") == plain.Header().Get("ETag") {
			t.Error("two forms have one ETag")
		}
		unpacking, err := gzip.NewReader(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(unpacking); err != nil || string(body) != plain.Body.String() {
			t.Errorf("%v, unpacked %d bytes", err, len(body))
		}
	}
}
