package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

var (
	requests    = flag.Int("requests", 10_000, "how many random requests to send")
	requestSeed = flag.Uint64("seed", 1, "what the random requests follow from")
)

// senders is how many clients send random requests at once. Each follows from the seed and its own number, so that what
// one of them sends does not depend on how fast the others are.
const senders = 8

// field is a parameter of a query or a field of a body, as the document describes it.
type field struct {
	name, kind, format string
	words              []string
	fields             []field
	items              *field
}

// shape is an operation and what it takes.
type shape struct {
	operation
	query, body []field
}

// document is what the service says of itself.
type document map[string]any

// at returns the object at a path of names, following references; nil if there is none.
func (d document) at(from any, names ...string) map[string]any {
	here, _ := from.(map[string]any)
	for {
		if ref, ok := here["$ref"].(string); ok {
			here = d.at(map[string]any(d), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			continue
		}
		if len(names) == 0 {
			return here
		}
		here, _ = here[names[0]].(map[string]any)
		names = names[1:]
	}
}

func (d document) field(name string, schema any) field {
	described := d.at(schema)
	f := field{name: name}
	f.format, _ = described["format"].(string)
	switch kind := described["type"].(type) {
	case string:
		f.kind = kind
	case []any: // the other one is null
		f.kind = fmt.Sprint(kind[0])
	}
	words, _ := described["enum"].([]any)
	for _, word := range words {
		f.words = append(f.words, fmt.Sprint(word))
	}
	if items := described["items"]; items != nil {
		one := d.field("", items)
		if slices.Contains([]string{"ids", "categoryIds", "add", "remove"}, name) {
			one.format = "uuid" // which the service checks itself, to say which of them is none
		}
		f.items = &one
	}
	f.fields = d.fields(described)
	return f
}

func (d document) fields(schema map[string]any) []field {
	var all []field
	properties := d.at(schema, "properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		all = append(all, d.field(name, properties[name]))
	}
	return all
}

// shapesOf are all operations with what they take.
func shapesOf(t testing.TB, l *library) []shape {
	t.Helper()
	d := document(l.send(t, http.MethodGet, l.api+"/docs", "").is(t, 200, "").object(t))
	var all []shape
	bodies := 0
	for _, op := range operationsOf(t, l) {
		described := d.at(map[string]any(d), "paths", op.path, strings.ToLower(op.method))
		s := shape{operation: op, body: d.fields(d.at(described, "requestBody", "content", "application/json", "schema"))}
		parameters, _ := described["parameters"].([]any)
		for _, p := range parameters {
			if one := d.at(p); one["in"] == "query" {
				s.query = append(s.query, d.field(fmt.Sprint(one["name"]), one["schema"]))
			}
		}
		bodies += len(s.body)
		all = append(all, s)
	}
	if bodies == 0 {
		t.Fatal("the document describes no body")
	}
	return all
}

// sender sends random requests in the name of anybody.
type sender struct {
	*rand.Rand
	shapes  []shape
	callers []auth.Identity
	tokens  []string
	// hers are IDs of what is private to alice, which no admin names, so that it stays private.
	hers []string
	// known are other IDs, of what there is and what not.
	known []string
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// id is one to ask for.
func (s *sender) id(caller auth.Identity) string {
	switch n := s.IntN(10); {
	case n < 3 && caller.Role != auth.RoleAdmin:
		return pick(s.Rand, s.hers...)
	case n == 9:
		return pick(s.Rand, "", "x", "..", "a/b", "\x00", "é", "%2f", "00000000-0000-0000-0000-000000000000", strings.Repeat("9", 300))
	}
	return pick(s.Rand, s.known...)
}

// hostile are what hardly any field takes, as JSON.
var hostile = []string{
	`null`, `""`, `" "`, `7`, `-1`, `1.5`, `1e400`, `true`, `[]`, `[null]`, `{}`, `{"a":{"a":1,"a":2}}`, `"a\u0000b"`, `"\ud800"`, "\"\xff\"", `"a\nb"`,
	`"<script>"`, `"'; drop table scores; --"`, `9223372036854775808`, `[[[[[[[[[[1]]]]]]]]]]`, `nonsense`, `1e-400`, `1e-20000`, `0e99999999999`, `{"a":1e-20000}`, `{"a":"\ud800"}`, `{"a":"\u0000"}`, `{"\u0000":1}`, `"` + strings.Repeat("x", 6000) + `"`, `"Ω≈ç√∫"`,
}

// value is one for a field, as JSON.
func (s *sender) value(caller auth.Identity, f field) string {
	switch {
	case s.IntN(12) == 0:
		return pick(s.Rand, hostile...)
	case len(f.words) > 0:
		return quote(pick(s.Rand, f.words...))
	case len(f.fields) > 0:
		return s.object(caller, f.fields)
	}
	switch f.kind {
	case "array":
		var all []string
		for range s.IntN(4) {
			all = append(all, s.value(caller, *f.items))
		}
		return "[" + strings.Join(all, ",") + "]"
	case "integer", "number":
		return pick(s.Rand, "0", "1", "2", "5", "10", "100", "3600")
	case "boolean":
		return pick(s.Rand, "true", "false")
	case "string":
		return quote(s.text(caller, f))
	}
	return pick(s.Rand, `{}`, `{"a":1}`, `{"a":{"b":`+pick(s.Rand, hostile...)+`}}`, `{"a":[1,{"b":"c"}],"d":null}`)
}

func (s *sender) text(caller auth.Identity, f field) string {
	switch f.format {
	case "uuid":
		return s.id(caller)
	case "email":
		return pick(s.Rand, "bob@example.com", "ada@example.com", "nobody")
	case "date-time":
		return pick(s.Rand, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00+23:59", "2030-12-31T23:59:59+14:00", "0000-00-00T00:00:00Z", "-4713-01-01T00:00:00Z")
	}
	return pick(s.Rand, "Nocturne", "nocturne étude", "piano", "C major", "4/4", "1", "a-b", "correct horse battery", "me")
}

// object is one with some of the fields, most of the time.
func (s *sender) object(caller auth.Identity, fields []field) string {
	var all []string
	for _, f := range fields {
		if s.IntN(3) > 0 {
			all = append(all, quote(f.name)+":"+s.value(caller, f))
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text can always be written
	}
	return string(quoted)
}

// search are some of the parameters, now and then in a form that nobody understands.
func (s *sender) search(caller auth.Identity, fields []field) string {
	if s.IntN(20) == 0 {
		return pick(s.Rand, "%zz", "q=%ff", "a=b;c", "q=%00", "limit=1&limit=2", "cursor=AAAA", "page=99999999999999999999")
	}
	values := url.Values{}
	for _, f := range fields {
		if s.IntN(4) > 0 {
			continue
		}
		text := strings.Trim(s.value(caller, f), `"`)
		if f.kind == "string" && len(f.words) == 0 && s.IntN(3) == 0 {
			text = pick(s.Rand, privateWord, "alice", "AAAA", s.id(caller))
		}
		values.Set(f.name, text)
	}
	return values.Encode()
}

// request is a random one, who sends it, and which operation it is meant for.
func (s *sender) request(ctx context.Context, api string) (*http.Request, auth.Identity, string) {
	chosen, n := pick(s.Rand, s.shapes...), s.IntN(len(s.callers))
	caller := s.callers[n]
	path, body := chosen.path, ""
	for strings.Contains(path, "{") {
		from, to := strings.Index(path, "{"), strings.Index(path, "}")
		id := s.id(caller)
		if path[from:to+1] == "{userId}" {
			id = pick(s.Rand, "bob", "tess", "x\x00") // any is kept, and shown to who gave it
		}
		path = path[:from] + url.PathEscape(id) + path[to+1:]
	}
	if len(chosen.body) > 0 {
		body = s.object(caller, chosen.body)
		if s.IntN(20) == 0 {
			body = body[:s.IntN(len(body))]
		}
	}
	req, err := http.NewRequestWithContext(ctx, chosen.method, api+path, strings.NewReader(body))
	if err != nil {
		return nil, caller, "" // no client can send it
	}
	req.URL.RawQuery = s.search(caller, chosen.query)
	req.Header.Set("Content-Type", "application/json")
	if s.tokens[n] != "" {
		req.Header.Set("Authorization", "Bearer "+s.tokens[n])
	}
	if s.IntN(5) == 0 {
		name := pick(s.Rand, "If-Match", "If-None-Match", "X-Idempotency-Key", "X-Request-ID", "Content-Type", "Authorization", "Origin", "Range")
		req.Header.Set(name, pick(s.Rand, `"1"`, `*`, `W/"2"`, "key-1", "key-2", "text/plain", "Bearer a.b.c", "http://evil.example", "bytes=0-1", strings.Repeat("x", 200)))
	}
	return req, caller, chosen.method + " " + chosen.path + "\n" + req.URL.String() + "\n" + body
}

// leaks returns what of alice an answer shows that the request did not tell.
func (s *sender) leaks(caller auth.Identity, request, answer string) string {
	if caller.Role == auth.RoleAdmin {
		return ""
	}
	for _, private := range append([]string{privateWord}, s.hers...) {
		if strings.Contains(answer, private) && !strings.Contains(request, private) {
			return private
		}
	}
	return ""
}

// learn keeps the ID of what was made, so that there is more to ask for.
func (s *sender) learn(got reply) {
	location := got.header.Get("Location")
	if id := location[strings.LastIndex(location, "/")+1:]; got.status == http.StatusCreated && id != "" {
		s.known[s.IntN(len(s.known))] = id
	}
}

// tally is how many requests had which status and which operations were tried.
type tally struct {
	sync.Mutex
	statuses map[int]int
	tried    map[string]int
}

func (c *tally) add(operation string, status int) {
	c.Lock()
	defer c.Unlock()
	c.statuses[status]++
	c.tried[operation]++
}

// Random requests to every operation, by strangers, users, teachers and admins, shaped like what the document asks for. No
// answer is a fault of the service's own or no envelope, and nobody but admins is shown what is private to another.
func TestC14NoRandomRequestFindsAFaultOrASecret(t *testing.T) {
	k := keysetCommands{t: t, file: filepath.Join(t.TempDir(), "keyset"), url: scorestest.URL(t)}
	k.replace("keyset", "new")
	l := run(t, k.url, func(c *Config) {
		c.LogLevel, c.DatabaseConns, c.NotesKeyset = slog.LevelError, senders, secret.FromFile(k.file)
		c.RequestTimeout = 30 * time.Second // a slow machine is no fault
	})
	l.http.Transport = &http.Transport{MaxIdleConnsPerHost: senders, DisableCompression: true}
	shapes := shapesOf(t, l)
	hers := strings.TrimPrefix(l.added(t, alice, `{"title":"`+privateWord+`","tags":["`+privateWord+`"],"metadata":{"k":"`+privateWord+`"}}`), "/api/scores/")
	collected := l.as(t, alice, http.MethodPost, "/api/collections", `{"name":"`+privateWord+`"}`).is(t, 201, "").header.Get("Location")
	l.as(t, alice, http.MethodPut, collected+"/scores/"+hers, "").is(t, 204, "")
	l.as(t, alice, http.MethodPut, "/api/scores/"+hers+"/notes", `{"notes":"`+privateWord+`"}`).is(t, 200, "")
	open := strings.TrimPrefix(l.added(t, alice, `{"title":"Nocturne","visibility":"public"}`), "/api/scores/")

	counts := &tally{statuses: map[int]int{}, tried: map[string]int{}}
	started := time.Now()
	var all sync.WaitGroup
	for number := range uint64(senders) {
		s := &sender{
			Rand: rand.New(rand.NewPCG(*requestSeed, number)), shapes: shapes, hers: []string{hers, strings.TrimPrefix(collected, "/api/collections/")},
			callers: []auth.Identity{nobody, bob, bob, teacher, admin},
			known:   []string{open, open, "bob", "tess", uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()},
		}
		for _, caller := range s.callers {
			token := ""
			if !caller.IsAnonymous() {
				token = l.token(t, caller)
			}
			s.tokens = append(s.tokens, token)
		}
		all.Go(func() { s.sendAll(t, l, *requests/senders, counts) })
	}
	all.Wait()
	t.Logf("%d requests with the seed %d, %.0f a second: %v", *requests, *requestSeed, float64(*requests)/time.Since(started).Seconds(), counts.statuses)
	if counts.statuses[200] < *requests/50 || counts.statuses[201] == 0 || counts.statuses[400] < *requests/50 {
		t.Error("the requests try too little")
	}
	for _, op := range shapes {
		if tried := counts.tried[op.method+" "+op.path]; tried == 0 && *requests > 100*len(shapes) {
			t.Errorf("%s %s was never tried", op.method, op.path)
		}
	}
}

// sendAll stops at the first answer that is wrong, of whatever sender.
func (s *sender) sendAll(t *testing.T, l *library, count int, counts *tally) {
	t.Helper()
	for range count {
		req, caller, told := s.request(t.Context(), l.api)
		if req == nil {
			continue
		}
		got, err := l.exchange(req)
		if err != nil {
			t.Errorf("%s by %q: %v", told, caller.ID, err)
		}
		if wrong := got.flaw(); err == nil && wrong != "" {
			t.Errorf("%s by %q: %s", told, caller.ID, wrong)
		}
		if private := s.leaks(caller, told, got.body); private != "" {
			t.Errorf("%s by %q shows %s, which is private to another: %d %s", told, caller.ID, private, got.status, got.body)
		}
		if t.Failed() {
			return
		}
		operation, _, _ := strings.Cut(told, "\n")
		counts.add(operation, got.status)
		s.learn(got)
	}
}

// flaw says what is wrong with an answer to anything: a fault of the service's own, or no envelope. It is "" if nothing is.
func (r reply) flaw() string {
	var body struct {
		Success     *bool
		Code, Error string
		Details     []any
	}
	switch {
	case r.status >= 500 && r.status != http.StatusServiceUnavailable:
		return fmt.Sprintf("%d %s", r.status, r.body)
	case r.status == http.StatusNoContent || r.status == http.StatusNotModified:
		if r.body != "" {
			return fmt.Sprintf("%d with the body %s", r.status, r.body)
		}
	case r.status >= 400:
		err := json.Unmarshal([]byte(r.body), &body)
		if err != nil || body.Success == nil || *body.Success || body.Code == "" || body.Error == "" {
			return fmt.Sprintf("%d without an envelope: %s", r.status, r.body)
		}
		if r.status == http.StatusBadRequest && (len(body.Details) == 0 || strings.Contains(r.body, `"refused"`)) {
			return "it does not say what is wrong: " + r.body
		}
	case strings.HasPrefix(r.header.Get("Content-Type"), "application/json") && !json.Valid([]byte(r.body)):
		return fmt.Sprintf("%d without JSON: %s", r.status, r.body)
	}
	return ""
}
