// Package openapitest holds a handler to the document of its API: every request that passes and every answer to it must
// be as the document says. Put it around the handler of a test, and all that the test does is checked on the way.
package openapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/openapi"
)

// Handler returns next with the check around it, by the document of the routes. What contradicts the document fails
// the test. Requests to addresses that the document does not have may only be answered 404 or 405, by an error envelope.
func Handler(t testing.TB, routes []httpapi.Route, next http.Handler) http.Handler {
	t.Helper()
	router, err := routerOf(t, routes)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		// The handler shall see a broken body as it came.
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(sent), failing{err}))
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if err := check(router, r, sent, rec); err != nil {
			t.Errorf("%s %s, %d: the document says otherwise: %v\nsent %.500s\nanswered %.500s",
				r.Method, r.URL, rec.Code, err, sent, rec.Body.Bytes())
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// failing ends a body the way it ended.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// known are the routers that were made, by what their routes say. Making one takes longer than most tests, and the tests of a
// binary have the same routes; they have no other way to hand them to each other.
var known sync.Map

func routerOf(t testing.TB, routes []httpapi.Route) (routers.Router, error) {
	t.Helper()
	var key strings.Builder
	for _, route := range routes {
		route.Handler, route.Kept = nil, nil
		fmt.Fprintf(&key, "%#v\n", route)
	}
	if router, ok := known.Load(key.String()); ok {
		return router.(routers.Router), nil
	}
	router, err := newRouter(t, routes)
	if err == nil {
		known.Store(key.String(), router)
	}
	return router, err
}

func newRouter(t testing.TB, routes []httpapi.Route) (routers.Router, error) {
	t.Helper()
	document, err := openapi.Document(openapi.Info{Title: "test", Version: "test"}, routes)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(t.Context()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
}

func check(router routers.Router, r *http.Request, sent []byte, rec *httptest.ResponseRecorder) error {
	known := r.Clone(r.Context())
	if known.Method == http.MethodHead {
		known.Method = http.MethodGet // the document does not say it twice
	}
	route, params, err := router.FindRoute(known)
	if err != nil {
		return checkUnknown(rec)
	}
	options := &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.EnableJSONSchema2020()},
		ExcludeResponseBody:     r.Method == http.MethodHead || isFile(rec.Header()),
	}
	input := &openapi3filter.RequestValidationInput{Request: known, PathParams: params, Route: route, Options: options}
	if rec.Code < http.StatusBadRequest {
		// What was accepted must be acceptable; what was refused is refused for reasons that no document can tell.
		known.Body = io.NopCloser(bytes.NewReader(sent))
		if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
			return err
		}
	}
	if isFile(rec.Header()) {
		if err := checkFile(route, rec); err != nil {
			return err
		}
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: rec.Code, Header: rec.Header(),
		Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())), Options: options,
	})
}

// isFile reports whether a body is something else than JSON, of which a schema has nothing to say.
func isFile(h http.Header) bool {
	mediaType := h.Get("Content-Type")
	return mediaType != "" && !strings.HasPrefix(mediaType, "application/json")
}

func checkFile(route *routers.Route, rec *httptest.ResponseRecorder) error {
	described := route.Operation.Responses.Status(rec.Code)
	if described == nil || described.Value.Content.Get(rec.Header().Get("Content-Type")) == nil {
		return errors.New("it does not have an answer of this type")
	}
	return nil
}

func checkUnknown(rec *httptest.ResponseRecorder) error {
	if !slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge}, rec.Code) {
		return errors.New("it does not have this route")
	}
	var envelope httpapi.ErrorEnvelope
	return json.Unmarshal(rec.Body.Bytes(), &envelope)
}
