// Package edge keeps whole answers that everybody may see, and tells the caches between the service and its clients what they may keep. It owns
// the headers Cache-Control, Cache-Tag, X-Cache and Age. What an answer is made of is known to package cache, which was asked for
// all of it; who may see it is decided by the domain, which says so with httpapi.Response.Shared.
//
// An answer is kept only if its route shares answers, the answer itself says that it is the same for everybody, and it was made of
// nothing that is out of date. What a client sends has no say in it: an answer that is kept is made for a request that holds
// nothing but the path and the parameters that the route declares, in normal form, which are its key. In particular a client cannot
// have the service make an answer anew; it need not, since a change is shown at once.
package edge

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// maxKey is the length in bytes of the longest request whose answer is kept.
const maxKey = 1024

// Headers that this package writes. TagHeader names what an answer is made of, for caches that can be purged by it.
const (
	OutcomeHeader = "X-Cache"
	TagHeader     = "Cache-Tag"
)

// Answers are kept answers. It may be used by many goroutines.
type Answers struct {
	cache  *cache.Cache
	front  *cache.Front[kept]
	public atomic.Pointer[[]string]
}

// New returns answers that are kept in the cache. Call Configure before the first request.
func New(c *cache.Cache) *Answers {
	a := &Answers{cache: c, front: cache.NewFront(c, decode)}
	a.public.Store(&[]string{httpapi.CacheControl{}.String()})
	return a
}

// Configure says how long browsers and the caches in front of the service may keep an answer.
func (a *Answers) Configure(browser time.Duration, layer cache.Settings) {
	a.public.Store(&[]string{httpapi.CacheControl{
		Public: true, MaxAge: browser, SharedMaxAge: layer.TTL,
		StaleWhileRevalidate: layer.StaleWhileRevalidate, StaleIfError: layer.StaleIfError,
	}.String()})
}

// Wrap is a httpapi.Wrapper that belongs behind the guard. It serves kept answers for routes that share theirs, and keeps all caches from
// requests that change something.
func (a *Answers) Wrap(route httpapi.Route, next http.Handler) http.Handler {
	switch {
	case !route.IsRead():
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(cache.Present(r.Context())))
		})
	case route.Sharing == httpapi.Unshared && route.Access == httpapi.Open:
		return next
	case route.Sharing == httpapi.Unshared:
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pass(w, r, next) })
	}
	s := &shared{Answers: a, route: route, next: next, key: newKeys(route)}
	return http.HandlerFunc(s.serve)
}

// pass serves a request whose answer is the caller's own.
func pass(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx, usage := cache.Gather(r.Context())
	next.ServeHTTP(&passing{ResponseWriter: w, usage: usage}, r.WithContext(ctx))
}

// passing tells of an answer by what it was made.
type passing struct {
	http.ResponseWriter
	usage *cache.Usage
	began bool
}

// WriteHeader implements http.ResponseWriter.
func (p *passing) WriteHeader(status int) {
	if !p.began {
		p.began = true
		p.Header().Set(OutcomeHeader, string(outcomeOf(p.usage)))
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *passing) Write(b []byte) (int, error) {
	if !p.began {
		p.WriteHeader(http.StatusOK)
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (p *passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func outcomeOf(usage *cache.Usage) cache.Outcome {
	if usage.Stale() {
		return cache.Stale
	}
	return cache.Bypass
}

// shared serves one route whose answers may be shared.
type shared struct {
	*Answers
	route httpapi.Route
	next  http.Handler
	key   keys
}

func (s *shared) serve(w http.ResponseWriter, r *http.Request) {
	anonymous := auth.FromContext(r.Context()).IsAnonymous()
	key, ok := s.key.of(r)
	if !ok || !anonymous && s.route.Sharing != httpapi.AmongAll {
		pass(w, r, s.next)
		return
	}
	if anonymous {
		s.forAnonymous(w, r, key)
		return
	}
	s.forCaller(w, r, key)
}

// forAnonymous serves what was kept, or has it made once for all who ask at the same time.
func (s *shared) forAnonymous(w http.ResponseWriter, r *http.Request, key string) {
	if k, found, ok := s.front.Held(key); ok {
		s.sendShared(w, r, k, found)
		return
	}
	found, err := s.cache.Get(r.Context(), key, nil, func(ctx context.Context) (cache.Loaded, error) {
		made, usage, err := s.make(ctx, r, key)
		return cache.Loaded{Bytes: made.encode(), Tags: usage.Tags(), Unkept: !made.shared}, err
	})
	if err != nil {
		w.Header().Set(OutcomeHeader, string(cache.Miss))
		httpapi.WriteError(r.Context(), w, err)
		return
	}
	s.sendShared(w, r, s.front.Hold(key, found), found)
}

// sendShared answers with what the caches in front of the service may keep as well.
func (s *shared) sendShared(w http.ResponseWriter, r *http.Request, k kept, found cache.Value) {
	if k.stale {
		found.Outcome = cache.Stale
	}
	if k.shared {
		w.Header().Set(TagHeader, k.tags)
	}
	s.send(w, r, k, found, *s.public.Load())
}

// forCaller serves what was kept, which is the same for this caller, or makes the answer for this caller alone and keeps it if it turns out
// to be the same for everybody.
func (s *shared) forCaller(w http.ResponseWriter, r *http.Request, key string) {
	if k, found, ok := s.front.Held(key); ok {
		s.send(w, r, k, found, private)
		return
	}
	if found, ok := s.cache.Peek(key); ok {
		s.send(w, r, s.front.Hold(key, found), found, private)
		return
	}
	at := s.cache.Mark()
	made, usage, err := s.make(r.Context(), r, key)
	found := cache.Value{Outcome: cache.Miss}
	switch {
	case err != nil:
		w.Header().Set(OutcomeHeader, string(cache.Bypass))
		httpapi.WriteError(r.Context(), w, err)
		return
	case made.shared:
		s.cache.Put(key, at, usage.Tags(), made.encode())
	default:
		found.Outcome = outcomeOf(usage)
	}
	s.send(w, r, made, found, private)
}

// private and outcomes are values of headers that answers share, so that they cost nothing.
var (
	private  = []string{httpapi.CacheControl{Private: true}.String()}
	outcomes = map[cache.Outcome][]string{
		cache.Hit: {string(cache.Hit)}, cache.Miss: {string(cache.Miss)}, cache.Stale: {string(cache.Stale)}, cache.Bypass: {string(cache.Bypass)},
	}
)

// make has the handler answer a request that holds nothing but what the key holds.
func (s *shared) make(ctx context.Context, r *http.Request, key string) (kept, *cache.Usage, error) {
	ctx, usage := cache.Gather(ctx)
	ctx, rec := httpapi.Detach(ctx)
	plain := &http.Request{
		Method: http.MethodGet, URL: s.key.url(key), Header: http.Header{}, Body: http.NoBody, Pattern: r.Pattern,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	for _, name := range s.key.names {
		plain.SetPathValue(name, r.PathValue(name))
	}
	to := &recorder{header: http.Header{}}
	s.next.ServeHTTP(to, plain.WithContext(ctx))
	if rec.Fault != nil {
		return kept{}, usage, rec.Fault
	}
	tags := usage.Tags()
	k := kept{status: to.result(), lines: linesOf(to.header), tags: strings.Join(tags, ","), stale: usage.Stale(), body: to.body}
	k.shared = rec.Shared && k.status == http.StatusOK && !k.stale && len(tags) > 0
	return k, usage, nil
}

// send answers with what was kept or just made; control says who may keep an answer that is shared.
func (s *shared) send(w http.ResponseWriter, r *http.Request, k kept, found cache.Value, control []string) {
	if s.route.Kept != nil && found.Outcome != cache.Miss && found.Outcome != cache.Bypass && !k.stale {
		s.route.Kept(r)
	}
	h := w.Header()
	k.describe(h, control)
	if found.Outcome == cache.Hit || found.Outcome == cache.Stale {
		h["Age"] = ageOf(found.Age)
	}
	h[OutcomeHeader] = outcomes[found.Outcome]
	if k.status == http.StatusOK && httpapi.Has(r.Context(), h.Get("Etag")) {
		h.Del("Content-Length")
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(k.status)
	// An error here means that the client is gone; nobody is left to tell.
	_, _ = w.Write(k.body)
}

// ages are values of a header that answers share, in seconds.
var ages = func() (ages [60][]string) {
	for i := range ages {
		ages[i] = []string{strconv.Itoa(i)}
	}
	return ages
}()

func ageOf(d time.Duration) []string {
	if seconds := int64(d / time.Second); seconds >= int64(len(ages)) {
		return []string{strconv.FormatInt(seconds, 10)}
	}
	return ages[d/time.Second]
}

// keys make the key of a request to one route: its path and the parameters that the route declares, in normal form. Two requests
// have the same key only if the handler cannot tell them apart.
type keys struct {
	// literal are the parts of the path between the names.
	literal, names []string
	// params are the declared parameters of the query.
	params []string
}

func newKeys(route httpapi.Route) keys {
	var k keys
	rest := route.Path
	for {
		before, after, ok := strings.Cut(rest, "{")
		k.literal = append(k.literal, before)
		if !ok {
			break
		}
		name, behind, _ := strings.Cut(after, "}")
		k.names, rest = append(k.names, strings.TrimSuffix(name, "...")), behind
	}
	if route.Params != nil {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(route.Params)) {
			if name, ok := field.Tag.Lookup("query"); ok {
				k.params = append(k.params, name)
			}
		}
	}
	return k
}

// of returns the key, and false for a request that is malformed, or too long to be kept.
func (k keys) of(r *http.Request) (string, bool) {
	if len(r.URL.RawQuery) > maxKey {
		return "", false
	}
	size := 0
	for _, name := range k.names {
		size += len(r.PathValue(name))
	}
	query, ok := k.query(r)
	if !ok || size > maxKey {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(r.URL.Path) + len(query) + 1)
	for i, literal := range k.literal {
		b.WriteString(literal)
		if i < len(k.names) {
			b.WriteString(url.PathEscape(r.PathValue(k.names[i])))
		}
	}
	if query != "" {
		b.WriteString("?" + query)
	}
	return b.String(), b.Len() <= maxKey
}

// query returns the declared parameters in the order of their names, escaped in one way.
func (k keys) query(r *http.Request) (string, bool) {
	if r.URL.RawQuery == "" {
		return "", true
	}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", false
	}
	declared := url.Values{}
	for _, name := range k.params {
		if values, ok := given[name]; ok {
			declared[name] = values
		}
	}
	return declared.Encode(), true
}

// url is the address that the key stands for.
func (keys) url(key string) *url.URL {
	escaped, query, _ := strings.Cut(key, "?")
	address := &url.URL{Path: escaped, RawQuery: query}
	if path, err := url.PathUnescape(escaped); err == nil && path != escaped {
		address.Path, address.RawPath = path, escaped
	}
	return address
}
