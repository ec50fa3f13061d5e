package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// privateWord stands only in what is private to alice.
const privateWord = "qzxj7vwk"

// operation is one that the service documents.
type operation struct {
	method, path string
	// needsToken says that it refuses a caller without one.
	needsToken bool
}

// operationsOf reads the operations from the service's own document, in a fixed order.
func operationsOf(t testing.TB, l *library) []operation {
	t.Helper()
	var all []operation
	paths, _ := l.send(t, http.MethodGet, l.api+"/docs", "").is(t, 200, "").object(t)["paths"].(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method, described := range methods {
			details, _ := described.(map[string]any)
			security, own := details["security"].([]any) // an operation without its own has that of the document
			needs := !own || len(security) > 0 && !slices.ContainsFunc(security, func(s any) bool { return len(s.(map[string]any)) == 0 })
			all = append(all, operation{method: strings.ToUpper(method), path: path, needsToken: needs})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	if len(all) == 0 {
		t.Fatal("the document describes nothing")
	}
	return all
}

// FuzzAPI sends anything to every operation in the name of anybody. No answer may be a fault of the service's own, or show
// what is private to another.
func FuzzAPI(f *testing.F) {
	l := open(f, nil)
	all := operationsOf(f, l)
	const private = privateWord
	hers := strings.TrimPrefix(l.added(f, alice, `{"title":"`+private+`","description":"`+private+`","tags":["`+private+`"],"metadata":{"k":"`+private+`"}}`), "/api/scores/")
	open := strings.TrimPrefix(l.added(f, alice, `{"title":"Nocturne","visibility":"public"}`), "/api/scores/")
	callers := []auth.Identity{nobody, bob, teacher}
	tokens := []string{"", l.token(f, bob), l.token(f, teacher)}

	for i := range all {
		for caller := range callers {
			f.Add(uint8(i), uint8(caller), hers, "", "", "")
		}
		f.Add(uint8(i), uint8(1), open, "page=1&limit=5&sort=title&order=desc&q=noct", "If-Match", `{"title":"x"}`)
		f.Add(uint8(i), uint8(1), "x\x00y", "q=%00&cursor=AAAA&owner=me", "If-None-Match", `{"ids":["`+open+`"],"updates":{"status":"archived"}}`)
		f.Add(uint8(i), uint8(2), open, "%zz&q=%ff", "X-Idempotency-Key", `{"title":"\u0000","metadata":{"a":1e999}}`)
		f.Add(uint8(i), uint8(2), "../..", "q="+private, "Content-Type", `{"email":"a\u0000@b.c","password":"x","refreshToken":"x"}`)
		f.Add(uint8(i), uint8(0), "%2f", "a=b;c", "Authorization", "["+strings.Repeat("[", 200))
		f.Add(uint8(i), uint8(1), hers, "limit=0", "X-Request-ID", `{"name":"x","slug":"x","parentId":"`+open+`"}`)
	}
	f.Fuzz(func(t *testing.T, op, caller uint8, id, query, header, body string) {
		chosen := all[int(op)%len(all)]
		path := chosen.path
		for strings.Contains(path, "{") {
			from, to := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:from] + url.PathEscape(id) + path[to+1:]
		}
		req, err := http.NewRequestWithContext(t.Context(), chosen.method, l.api+path, strings.NewReader(body))
		if err != nil {
			return // no client can send it
		}
		req.URL.RawQuery = printable(query)
		req.Header.Set("Content-Type", "application/json")
		if token := tokens[int(caller)%len(tokens)]; token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		switch http.CanonicalHeaderKey(header) {
		case "If-Match", "If-None-Match", "X-Idempotency-Key", "X-Request-Id", "Content-Type", "Authorization", "Origin":
			req.Header.Set(header, printable(id))
		}
		got := l.receive(t, req)
		if wrong := got.flaw(); wrong != "" {
			t.Fatal(wrong)
		}
		if !strings.Contains(id+query+body, private) && strings.Contains(got.body, private) {
			t.Fatalf("%d shows what is private to another: %s", got.status, got.body)
		}
	})
}

// printable keeps what can be sent in the first line or a header of a request.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '#' {
			return -1
		}
		return r
	}, text)
}
