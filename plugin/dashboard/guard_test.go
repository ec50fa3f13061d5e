package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/plugin/dashboard/page"
)

// asked is a request; the zero value is one for the page by somebody who is in.
type asked struct {
	method, path, host, origin, mediaType, body string
	noCookie, noKey                             bool
	cookie, key                                 string
}

func newServer() *Server {
	return New(Options{
		Give: func(_ context.Context, o Order) (string, error) {
			if o.Name == "refused" {
				return "", errors.New("refused: no")
			}
			return "done", nil
		},
		Say: func(err error) string { return err.Error() },
	})
}

func (a asked) of(s *Server) *httptest.ResponseRecorder {
	or := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	r := httptest.NewRequest(or(a.method, http.MethodGet), or(a.path, "/"), strings.NewReader(a.body))
	r.Host = or(a.host, "127.0.0.1:4000")
	if !a.noCookie {
		r.AddCookie(&http.Cookie{Name: s.keys.cookieName, Value: or(a.cookie, s.keys.cookie)})
	}
	if !a.noKey {
		r.Header.Set("Authorization", "Bearer "+or(a.key, s.keys.key))
	}
	for name, value := range map[string]string{"Origin": a.origin, "Content-Type": a.mediaType} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, r)
	return rec
}

const (
	own     = "http://127.0.0.1:4000"
	pausing = `{"namespace":"music","name":"scores","verb":"pause"}`
)

func order(body string) asked {
	return asked{method: http.MethodPost, path: "/api/orders", origin: own, mediaType: "application/json", body: body}
}

func TestNobodyElseIsLetIn(t *testing.T) {
	with := func(a asked, change func(*asked)) asked {
		change(&a)
		return a
	}
	for name, tc := range map[string]struct {
		asked
		want int
	}{
		"the page":                      {asked{}, http.StatusOK},
		"a file of it":                  {asked{path: "/site/start.js"}, http.StatusOK},
		"a file that there is not":      {asked{path: "/site/nothing.js"}, http.StatusNotFound},
		"a file outside":                {asked{path: "/site/..%2fguard.go"}, http.StatusNotFound},
		"by another name of loopback":   {asked{host: "localhost:4000"}, http.StatusOK},
		"by loopback of version 6":      {asked{host: "[::1]:4000"}, http.StatusOK},
		"the page without a cookie":     {asked{noCookie: true}, http.StatusUnauthorized},
		"the page with another cookie":  {asked{cookie: "x"}, http.StatusUnauthorized},
		"a file without a cookie":       {asked{path: "/site/start.js", noCookie: true}, http.StatusUnauthorized},
		"an address that there is not":  {asked{path: "/nothing", noCookie: true}, http.StatusUnauthorized},
		"events with the cookie alone":  {asked{path: "/api/events", noKey: true}, http.StatusUnauthorized},
		"events with another key":       {asked{path: "/api/events", key: "x"}, http.StatusUnauthorized},
		"events with the key alone":     {asked{path: "/api/events", noCookie: true}, http.StatusUnauthorized},
		"rights with the cookie alone":  {asked{path: "/api/rights", noKey: true}, http.StatusUnauthorized},
		"a name that leads here":        {asked{host: "evil.example.com:4000"}, http.StatusForbidden},
		"a name that begins alike":      {asked{host: "127.0.0.1.example.com"}, http.StatusForbidden},
		"opening by a name":             {asked{path: "/open/x", host: "evil.example.com"}, http.StatusForbidden},
		"another ticket":                {asked{path: "/open/x", noCookie: true}, http.StatusUnauthorized},
		"an order":                      {order(pausing), http.StatusOK},
		"an order without a key":        {with(order(pausing), func(a *asked) { a.noKey = true }), http.StatusUnauthorized},
		"an order from elsewhere":       {with(order(pausing), func(a *asked) { a.origin = "http://evil.example.com" }), http.StatusForbidden},
		"an order from another port":    {with(order(pausing), func(a *asked) { a.origin = "http://127.0.0.1:4001" }), http.StatusForbidden},
		"an order from nowhere":         {with(order(pausing), func(a *asked) { a.origin = "" }), http.StatusForbidden},
		"an order that a form can send": {with(order(pausing), func(a *asked) { a.mediaType = "text/plain" }), http.StatusForbidden},
		"an order by reading":           {asked{path: "/api/orders"}, http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.of(newServer())
			if got.Code != tc.want {
				t.Errorf("%d, want %d: %s", got.Code, tc.want, got.Body)
			}
			for header, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": page.Policy, "Referrer-Policy": "no-referrer"} {
				if got.Header().Get(header) != want {
					t.Errorf("%s is %q", header, got.Header().Get(header))
				}
			}
		})
	}
}

func TestTheAddressIsOpenedOnce(t *testing.T) {
	s := newServer()
	path := "/open/" + s.keys.ticket
	if got := (asked{method: http.MethodHead, path: path, noCookie: true}).of(s); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("looking at the address first: %d", got.Code)
	}
	got := asked{path: path, noCookie: true}.of(s)
	cookies := got.Result().Cookies()
	if got.Code != http.StatusOK || len(cookies) != 1 || !strings.Contains(got.Body.String(), "/#key="+s.keys.key+`"`) {
		t.Fatalf("%d %v %s", got.Code, cookies, got.Body)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Value != s.keys.cookie || c.MaxAge != 0 || !c.Expires.IsZero() {
		t.Errorf("the cookie is %v", c)
	}
	if got := (asked{path: path, noCookie: true}).of(s); got.Code != http.StatusUnauthorized || len(got.Result().Cookies()) > 0 || strings.Contains(got.Body.String(), s.keys.key) {
		t.Errorf("somebody else afterwards: %d %s", got.Code, got.Body)
	}
	if got := (asked{path: path}).of(s); got.Code != http.StatusOK {
		t.Errorf("the same browser again: %d", got.Code)
	}
	if s.keys.cookie == s.keys.key || s.keys.key == s.keys.ticket || newServer().keys.key == s.keys.key {
		t.Error("keys are the same")
	}
}

func TestOrdersSayWhatTheyConcern(t *testing.T) {
	for name, tc := range map[string]struct {
		body, says string
		want       int
	}{
		"for all":                        {pausing, `{"message":"done"}`, http.StatusOK},
		"for one":                        {`{"namespace":"music","name":"scores","verb":"abort","environment":"staging"}`, "done", http.StatusOK},
		"refused by the operator":        {`{"namespace":"music","name":"refused","verb":"retry"}`, "refused: no", http.StatusConflict},
		"no JSON":                        {`x`, "no order", http.StatusBadRequest},
		"more than an order":             {`{"namespace":"music","name":"scores","verb":"pause","user":"root"}`, "unknown field", http.StatusBadRequest},
		"too long":                       {`{"namespace":"` + strings.Repeat("x", maxOrder) + `"}`, "too large", http.StatusBadRequest},
		"of nothing":                     {`{"verb":"pause"}`, "namespace", http.StatusBadRequest},
		"unknown":                        {`{"namespace":"music","name":"scores","verb":"delete"}`, "delete", http.StatusBadRequest},
		"an abort of all":                {`{"namespace":"music","name":"scores","verb":"abort"}`, "no order for all", http.StatusBadRequest},
		"a pause of one":                 {`{"namespace":"music","name":"scores","verb":"pause","environment":"staging"}`, "no order for one", http.StatusBadRequest},
		"a rollback to what nobody saw":  {`{"namespace":"music","name":"scores","verb":"rollback","environment":"staging"}`, "release that was shown", http.StatusBadRequest},
		"an approval of what nobody saw": {`{"namespace":"music","name":"scores","verb":"approve","environment":"staging"}`, "plan that was shown", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			got := order(tc.body).of(newServer())
			if got.Code != tc.want || !strings.Contains(got.Body.String(), tc.says) {
				t.Errorf("%d %s, want %d %s", got.Code, got.Body, tc.want, tc.says)
			}
		})
	}
}
