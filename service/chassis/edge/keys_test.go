package edge

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// things is a route with two names and two parameters; seen is what its handler can tell of a request.
var things = httpapi.Route{
	Method: "GET", Path: "/api/things/{kind}/of/{owner}", Params: struct {
		Kind string `path:"kind"`
		A    string `query:"a"`
		B    string `query:"b"`
	}{},
}

type seen struct {
	Kind, Owner string
	A, B        []string
}

// keyOf returns the key of a request and what the handler sees of it; there is none for what does not match the route.
func keyOf(target string) (key string, told seen, ok bool) {
	address, err := url.ParseRequestURI(target)
	if err != nil || address.Host != "" {
		return "", seen{}, false
	}
	mux := http.NewServeMux()
	mux.HandleFunc(things.Pattern(), func(_ http.ResponseWriter, r *http.Request) {
		key, ok = newKeys(things).of(r)
		values, err := url.ParseQuery(r.URL.RawQuery)
		ok = ok && err == nil
		told = seen{r.PathValue("kind"), r.PathValue("owner"), values["a"], values["b"]}
	})
	mux.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: "GET", URL: address, Host: "localhost"})
	return key, told, ok
}

// Two requests have the same key if, and only if, the handler cannot tell them apart.
func FuzzKeys(f *testing.F) {
	f.Add("/api/things/x/of/y?a=1&b=2", "/api/things/x/of/y?b=2&a=1")
	f.Add("/api/things/x%2Fof%2Fz/of/y", "/api/things/x/of/z%2Fof%2Fy")
	f.Add("/api/things/x/of/y?a=1%26b%3D2", "/api/things/x/of/y?a=1&b=2")
	f.Add("/api/things/x/of/y%3Fa=1", "/api/things/x/of/y?a=1")
	f.Add("/api/things/%78/of/y?%61=1&c=2", "/api/things/x/of/y?a=1")
	f.Add("/api/things/x/of/y?a=1&a=2", "/api/things/x/of/y?a=2&a=1")
	f.Add("/api/things/x/of/y?a", "/api/things/x/of/y")
	f.Add("/api/things/x/of/y?a=+", "/api/things/x/of/y?a=%2B")
	f.Fuzz(func(t *testing.T, first, second string) {
		oneKey, one, ok1 := keyOf(first)
		otherKey, other, ok2 := keyOf(second)
		if !ok1 || !ok2 {
			return
		}
		if (oneKey == otherKey) != cmp.Equal(one, other) {
			t.Errorf("%q has the key %q and %q has %q:\n%s", first, oneKey, second, otherKey, cmp.Diff(one, other))
		}
	})
}

// An answer is made for what its key says: read back, the key leads to the same path and parameters.
func TestAnAnswerIsMadeForItsKey(t *testing.T) {
	for _, target := range []string{
		"/api/things/x/of/y", "/api/things/x%2Fz/of/%25?b=%26&a=1", "/api/things/é/of/a%20b?a=c+d&unknown=1",
	} {
		key, want, ok := keyOf(target)
		if !ok {
			t.Fatal(target)
		}
		again, got, ok := keyOf(newKeys(things).url(key).String())
		if diff := cmp.Diff(want, got); !ok || again != key || diff != "" {
			t.Errorf("%s has the key %q, which leads to %q (-want +got):\n%s", target, key, again, diff)
		}
	}
}

func TestKeptAnswersComeBackWhole(t *testing.T) {
	for name, want := range map[string]kept{
		"empty": {status: 204, lines: []line{}, body: []byte{}},
		"full": {
			status: 200, shared: true, lines: []line{{0, "text/plain"}, {2, `"1"`}, {4, "Origin"}, {4, "Authorization"}},
			tags: "a,b", body: []byte("body"),
		},
		"stale": {status: 200, stale: true, lines: []line{}, tags: "a", body: []byte("body")},
	} {
		want.values = []string{}
		for _, l := range want.lines {
			want.values = append(want.values, l.value)
		}
		if diff := cmp.Diff(want, decode(want.encode()), cmp.AllowUnexported(kept{}, line{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
