package openapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/openapi"
	"github.com/mirubato/mirubato/service/chassis/openapi/openapitest"
	"github.com/mirubato/mirubato/service/chassis/optional"
)

// song is a thing with every kind of field that a service has.
type song struct {
	Title  string          `json:"title" validate:"required,max=10"`
	Mood   *string         `json:"mood" validate:"omitnil,oneof=glad sad"`
	Tempo  *int            `json:"tempo" validate:"omitnil,min=20,max=300"`
	Tags   []string        `json:"tags" validate:"max=2,dive,min=1,max=5"`
	Extras json.RawMessage `json:"extras"`
}

type change struct {
	Title optional.Value[string]   `json:"title,omitzero"`
	Mood  optional.Value[string]   `json:"mood,omitzero"`
	Tempo optional.Value[int]      `json:"tempo,omitzero"`
	Tags  optional.Value[[]string] `json:"tags,omitzero"`
}

type params struct {
	ID string `path:"id" required:"true"`
	httpapi.PageParams
}

func routes() []httpapi.Route {
	handler := httpapi.Handle(httpapi.DecodeJSON[change],
		func(context.Context, change) (song, error) { return song{Title: "x"}, nil },
		func(s song) httpapi.Response { return httpapi.OK(s).WithVersion(1) })
	return []httpapi.Route{
		{Method: "POST", Path: "/songs", Access: httpapi.Callers, Name: "createSong", Group: "Songs", Summary: "Add", Request: change{}, Rules: song{}, Status: 201, Response: httpapi.Envelope[song]{}, Versioned: true, Handler: handler},
		{Method: "PUT", Path: "/songs/{id}", Access: httpapi.Admins, Name: "updateSong", Group: "Songs", Summary: "Change", Params: params{}, Request: change{}, Rules: song{}, Partial: true, Status: 200, Response: httpapi.Envelope[song]{}, Versioned: true, Handler: handler, Faults: []fault.Code{fault.Conflict}},
		{Method: "GET", Path: "/songs/{id}", Access: httpapi.Anyone, Name: "getSong", Group: "Songs", Summary: "Read", Params: params{}, Status: 200, Response: httpapi.Envelope[song]{}, Versioned: true, Handler: handler},
	}
}

func service() *httpapi.Router {
	router := httpapi.NewRouter()
	info := openapi.Info{Title: "Songs", Description: "A test.", Version: "1"}
	router.Mount(admitting{}, append(routes(), openapi.Routes(info, router.Routes)...))
	return router
}

// admitting is a guard that admits everybody.
type admitting struct{}

func (admitting) Guard(_ httpapi.Access, next http.Handler) http.Handler { return next }

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	httpapi.Middleware(httpapi.Options{Logger: discard, Observer: unmeasured{}, RequestTimeout: httpapi.Fixed(patience), MaxBody: 1 << 20}, h).ServeHTTP(rec, req)
	return rec
}

// at follows keys into JSON.
func at(t *testing.T, v any, keys ...string) any {
	t.Helper()
	for _, key := range keys {
		object, ok := v.(map[string]any)
		if !ok || object[key] == nil {
			t.Fatalf("no %q of %v in %v", key, keys, v)
		}
		v = object[key]
	}
	return v
}

func document(t *testing.T) any {
	t.Helper()
	var doc any
	if err := json.Unmarshal(get(t, service(), "/docs").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestC05DocumentDescribesWhatRoutesSay(t *testing.T) {
	doc := document(t)
	body := []string{"requestBody", "content", "application/json", "schema"}
	post := append([]string{"paths", "/songs", "post"}, body...)
	put := append([]string{"paths", "/songs/{id}", "put"}, body...)
	for name, tc := range map[string]struct {
		keys []string
		want any
	}{
		"the version of OpenAPI":            {keys: []string{"openapi"}, want: "3.1.0"},
		"the origin":                        {keys: []string{"servers"}, want: []any{map[string]any{"url": "/"}}},
		"the scheme of tokens":              {keys: []string{"components", "securitySchemes", "bearerAuth", "scheme"}, want: "bearer"},
		"what a creation needs":             {keys: append(post, "required"), want: []any{"title"}},
		"a text's rules":                    {keys: append(post, "properties", "title"), want: map[string]any{"type": []any{"string", "null"}, "minLength": 1.0, "maxLength": 10.0}},
		"a word's rules":                    {keys: append(put, "properties", "mood"), want: map[string]any{"type": []any{"string", "null"}, "enum": []any{"glad", "sad", nil}}},
		"a number's rules":                  {keys: append(put, "properties", "tempo"), want: map[string]any{"type": []any{"integer", "null"}, "minimum": 20.0, "maximum": 300.0}},
		"a list's rules":                    {keys: append(put, "properties", "tags"), want: map[string]any{"type": []any{"array", "null"}, "maxItems": 2.0, "items": map[string]any{"type": "string", "minLength": 1.0, "maxLength": 5.0}}},
		"unknown fields are refused":        {keys: append(put, "additionalProperties"), want: false},
		"the name of an operation":          {keys: []string{"paths", "/songs", "post", "operationId"}, want: "createSong"},
		"a token where there may be one":    {keys: []string{"paths", "/songs/{id}", "get", "security"}, want: []any{map[string]any{}, map[string]any{"bearerAuth": []any{}}}},
		"a schema that has a readable name": {keys: []string{"paths", "/songs/{id}", "get", "responses", "200", "content", "application/json", "schema", "$ref"}, want: "#/components/schemas/SongEnvelope"},
		"an error's codes":                  {keys: []string{"paths", "/songs/{id}", "put", "responses", "403", "description"}, want: "Forbidden: AUTHORIZATION_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, at(t, doc, tc.keys...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if put, ok := at(t, doc, append([]string{"paths", "/songs/{id}", "put"}, body...)...).(map[string]any); !ok || put["required"] != nil {
		t.Errorf("a change must be complete: %v", put["required"])
	}
}

func TestC05RoutesEqualPaths(t *testing.T) {
	var want, got []string
	for _, route := range service().Routes() {
		want = append(want, strings.ToLower(route.Method)+" "+route.Path)
	}
	paths := at(t, document(t), "paths").(map[string]any)
	for path, item := range paths {
		for method := range item.(map[string]any) {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-routes +paths):\n%s", diff)
	}
}

func TestC05DocumentIsKept(t *testing.T) {
	h := service()
	first := get(t, h, "/docs")
	etag := first.Header().Get("ETag")
	if first.Code != 200 || etag == "" || first.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", first.Code, first.Header())
	}
	if again := get(t, h, "/docs", "If-None-Match", etag); again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("asked again: %d, %d bytes; want 304", again.Code, again.Body.Len())
	}
	if other := get(t, service(), "/docs"); other.Header().Get("ETag") != etag {
		t.Error("the same routes make another document")
	}
}

func TestC05PageWorksByItself(t *testing.T) {
	h := service()
	page := get(t, h, "/swagger")
	policy := page.Header().Get("Content-Security-Policy")
	if page.Code != 200 || strings.Contains(policy, "http") || !strings.Contains(policy, "script-src 'self';") {
		t.Fatalf("%d, %q", page.Code, policy)
	}
	if get(t, h, "/docs").Header().Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'" {
		t.Error("the policy of the page is that of other answers too")
	}
	for part := range strings.SplitSeq(page.Body.String(), `"`) {
		if !strings.HasPrefix(part, "/") {
			continue
		}
		packed, plain := get(t, h, part, "Accept-Encoding", "gzip"), get(t, h, part)
		if packed.Code != 200 || plain.Code != 200 || plain.Body.Len() == 0 || plain.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d packed, %d plain, %v", part, packed.Code, plain.Code, plain.Header())
		}
	}
	if got := get(t, h, "/swagger/nothing.js"); got.Code != 404 {
		t.Errorf("a file that is none: %d", got.Code)
	}
}

func TestCheckFindsWhatIsNotDocumented(t *testing.T) {
	for name, tc := range map[string]struct {
		method, path, body string
		answer             httpapi.Response
		wrong              bool
	}{
		"what the document says":         {method: "GET", path: "/songs/1", answer: httpapi.OK(song{Title: "x", Extras: json.RawMessage("{}")})},
		"an undocumented status":         {method: "GET", path: "/songs/1", answer: httpapi.JSON(418, song{}), wrong: true},
		"a body of another shape":        {method: "GET", path: "/songs/1", answer: httpapi.JSON(200, []int{}), wrong: true},
		"a value against the rules":      {method: "GET", path: "/songs/1", answer: httpapi.OK(song{Title: "much too long a title"}), wrong: true},
		"a bad request that is accepted": {method: "PUT", path: "/songs/1", body: `{"tempo":1}`, answer: httpapi.OK(song{Title: "x", Extras: json.RawMessage("{}")}), wrong: true},
		"an address that is not there":   {method: "GET", path: "/other", answer: httpapi.OK(1), wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			spy := &spy{TB: t}
			h := openapitest.Handler(spy, routes(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tc.answer.Write(r.Context(), w) }))
			req := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, strings.NewReader(tc.body))
			req.Header.Set("Content-Type", "application/json")
			h.ServeHTTP(httptest.NewRecorder(), req)
			if (spy.failures > 0) != tc.wrong {
				t.Errorf("%d complaints: %s", spy.failures, spy.last)
			}
		})
	}
}
