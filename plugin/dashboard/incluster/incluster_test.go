package incluster

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/dashboard/board"
	"github.com/mirubato/mirubato/plugin/dashboard/page"
)

// patience is how long a test waits for an event, on a machine that does much else.
const patience = time.Minute

// event is one that a stream has told.
type event struct {
	kind string
	data string
}

// message is what the page is told, as far as the tests look at it.
type message struct {
	Link   board.Link    `json:"link"`
	Viewer *board.Viewer `json:"viewer"`
	// Overview and Detail are told apart by what is there.
	Overview *struct {
		Microservices []struct {
			Namespace, Name, Summary, Version string
		} `json:"microservices"`
	} `json:"overview"`
	Detail *struct {
		Name, Summary string
		Verbs         []any
		History       []any
		Environments  []struct{ Verbs []any }
	} `json:"detail"`
}

// stream is one that is open.
type stream struct {
	t      *testing.T
	answer reply
	events chan event
}

// follow opens a stream, which must be answered by one.
func (w *world) follow(token, query string) *stream {
	w.t.Helper()
	answer := w.ask(http.MethodGet, "/api/events"+query, token)
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("%s: %s", answer.Status, text(w.t, answer))
	}
	s := &stream{t: w.t, answer: answer, events: make(chan event, 100)}
	go func() {
		defer close(s.events)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		kind := ""
		for lines.Scan() {
			if name, found := strings.CutPrefix(lines.Text(), "event: "); found {
				kind = name
			} else if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
				s.events <- event{kind, data}
			}
		}
	}()
	return s
}

// until waits for a state.
func (s *stream) until(what string, holds func(message) bool) message {
	s.t.Helper()
	last := event{}
	for {
		select {
		case next, open := <-s.events:
			if !open || next.kind != "state" {
				s.t.Fatalf("it does not come to %s, but ends with %+v", what, next)
			}
			last = next
			var told message
			if err := json.Unmarshal([]byte(next.data), &told); err != nil {
				s.t.Fatal(err)
			}
			if holds(told) {
				return told
			}
		case <-time.After(patience):
			s.t.Fatalf("it does not come to %s: %s", what, last.data)
		}
	}
}

// ended waits for the end, and returns the last event.
func (s *stream) ended() event {
	s.t.Helper()
	last := event{}
	for late := time.After(patience); ; {
		select {
		case next, open := <-s.events:
			if !open {
				return last
			}
			last = next
		case <-late:
			s.t.Fatalf("it does not end after %+v", last)
		}
	}
}

// shown are the Microservices of an overview, with the version where it is told.
func shown(m message) []string {
	var out []string
	for _, ms := range m.Overview.Microservices {
		out = append(out, strings.TrimSpace(ms.Namespace+"/"+ms.Name+" "+ms.Version))
	}
	return out
}

func loaded(m message) bool {
	return m.Link.Loaded && m.Overview != nil && len(m.Overview.Microservices) > 0
}

func TestEachSeesWhatTheyMay(t *testing.T) {
	w := newWorld(t)
	both := reading(microservices, releases)
	for name, tc := range map[string]struct {
		who  *account
		want []string
	}{
		"one namespace":                 {somebody(t).may(w.music, both), []string{w.music + "/scores 1.1.0"}},
		"another":                       {somebody(t).may(w.art, both), []string{w.art + "/pictures 1.1.0"}},
		"two":                           {somebody(t).may(w.art, both).may(w.music, both), []string{w.art + "/pictures 1.1.0", w.music + "/scores 1.1.0"}},
		"two, history of one":           {somebody(t).may(w.art, reading(microservices)).may(w.music, both), []string{w.art + "/pictures", w.music + "/scores 1.1.0"}},
		"everything":                    {somebody(t).may("", both), []string{w.art + "/pictures 1.1.0", w.music + "/scores 1.1.0"}},
		"everything, history of one":    {somebody(t).may("", reading(microservices)).may(w.music, both), []string{w.art + "/pictures", w.music + "/scores 1.1.0"}},
		"more than it takes":            {somebody(t).may(w.music, []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}), []string{w.music + "/scores 1.1.0"}},
		"other resources of its own as": {somebody(t).may(w.art, []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods", "secrets"}, Verbs: []string{"*"}}}).may(w.music, both), []string{w.music + "/scores 1.1.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			told := (&world{t: t, origin: w.origin, client: w.client}).follow(tc.who.token(Audience), "").until("something", loaded)
			slices.Sort(tc.want)
			got := slices.DeleteFunc(shown(told), func(s string) bool { return !strings.HasPrefix(s, w.music) && !strings.HasPrefix(s, w.art) })
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if want := "system:serviceaccount:" + tc.who.Namespace + ":viewer"; told.Viewer == nil || told.Viewer.Name != want || told.Viewer.SignedIn {
				t.Errorf("viewer is %+v, want %s", told.Viewer, want)
			}
		})
	}
}

// forged is a token of the API server with other claims, signed anew with the API server's key.
func forged(t *testing.T, token string, change func(jwt.MapClaims)) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(server.ControlPlane.APIServer.CertDir, "sa-signer.key"))
	if err != nil {
		t.Fatal(err)
	}
	private, err := jwt.ParseECPrivateKeyFromPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	read, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	change(read.Claims.(jwt.MapClaims))
	made := jwt.NewWithClaims(read.Method, read.Claims)
	made.Header["kid"] = read.Header["kid"]
	signed, err := made.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestWhoIsLetIn(t *testing.T) {
	w := newWorld(t)
	a := somebody(t).may(w.music, reading(microservices, releases))
	gone := somebody(t).may(w.music, reading(microservices, releases))
	ofGone := gone.token()
	gone.leave()
	twoHoursEarlier := func(claims jwt.MapClaims) {
		for _, name := range []string{"iat", "nbf", "exp"} {
			claims[name] = claims[name].(float64) - 2*3600
		}
	}
	for name, tc := range map[string]struct {
		token string
		want  int
	}{
		"a token for the dashboard":        {a.token(Audience), http.StatusOK},
		"a token for the API server":       {a.token(), http.StatusOK},
		"one that is signed anew":          {forged(t, a.token(), func(jwt.MapClaims) {}), http.StatusOK},
		"one that has expired":             {forged(t, a.token(), twoHoursEarlier), http.StatusUnauthorized},
		"one for another audience":         {a.token("vault"), http.StatusUnauthorized},
		"one of an account that is gone":   {ofGone, http.StatusUnauthorized},
		"one without its signature":        {strings.Join(strings.Split(a.token(), ".")[:2], ".") + ".", http.StatusUnauthorized},
		"garbage":                          {"garbage", http.StatusUnauthorized},
		"garbage that is no token at all":  {"garb age", http.StatusUnauthorized},
		"no token":                         {"", http.StatusUnauthorized},
		"a token of somebody with nothing": {somebody(t).token(Audience), http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			asking := &world{t: t, origin: w.origin, client: w.client}
			answer := asking.ask(http.MethodGet, "/api/events", tc.token)
			if answer.StatusCode != tc.want {
				t.Fatalf("%s: %s", answer.Status, text(t, answer))
			}
			if answer.Header.Get("Strict-Transport-Security") == "" || answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Content-Security-Policy") != page.PolicyWithForms() {
				t.Errorf("headers are %v", answer.Header)
			}
			if isOK := tc.want == http.StatusOK; !isOK && tc.token != "" && strings.Contains(text(t, answer), tc.token) {
				t.Error("the token comes back")
			}
			door := asking.ask(http.MethodGet, "/", tc.token)
			if said := text(t, door); (tc.want == http.StatusUnauthorized) != (door.StatusCode == http.StatusUnauthorized && strings.Contains(said, "Sign in")) {
				t.Errorf("at the door: %s: %s", door.Status, said)
			}
		})
	}
	if log := w.log.String(); strings.Contains(log, "eyJ") || strings.Contains(log, "garbage") {
		t.Errorf("a token is logged:\n%s", log)
	}
}

func TestWhoMaySeeNothingIsToldWhy(t *testing.T) {
	w := newWorld(t)
	nobody := somebody(t)
	one := somebody(t).may(w.art, reading(microservices, releases))
	byName := somebody(t).may(w.music, []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{microservices}, ResourceNames: []string{"scores"}, Verbs: []string{"get", "watch"}}})
	ofScores := "?" + url.Values{"namespace": {w.music}, "name": {"scores"}}.Encode()
	for name, tc := range map[string]struct {
		who    *account
		query  string
		status int
		says   []string
	}{
		"all":                     {nobody, "", http.StatusForbidden, []string{"viewer may list and watch Microservices in no namespace", "kubectl auth can-i list microservices.platform.mirubato.com --namespace NAMESPACE"}},
		"one":                     {nobody, ofScores, http.StatusForbidden, []string{"may not see Microservice scores in namespace " + w.music, "kubectl auth can-i get microservices.platform.mirubato.com/scores --namespace " + w.music}},
		"one elsewhere":           {one, ofScores, http.StatusForbidden, []string{"may not see Microservice scores"}},
		"one that there is not":   {one, "?namespace=" + w.music + "&name=nothing", http.StatusForbidden, []string{"may not see Microservice nothing"}},
		"all, by who may see one": {byName, "", http.StatusForbidden, []string{"in no namespace"}},
		"a name without a place":  {one, "?name=scores", http.StatusBadRequest, []string{"Name both"}},
		"a place without a name":  {one, "?namespace=music", http.StatusBadRequest, []string{"Name both"}},
		"a name that is none":     {one, "?namespace=music&name=..%2Fx", http.StatusBadRequest, []string{"no names"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := (&world{t: t, origin: w.origin, client: w.client}).ask(http.MethodGet, "/api/events"+tc.query, tc.who.token(Audience))
			said := struct{ Message string }{}
			if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || answer.StatusCode != tc.status {
				t.Fatalf("%s, %v: %+v", answer.Status, err, said)
			}
			for _, want := range tc.says {
				if !strings.Contains(said.Message, want) || strings.Contains(said.Message, "\n") {
					t.Errorf("it says %q, want %q in one line", said.Message, want)
				}
			}
		})
	}
	t.Run("one by its name, without history", func(t *testing.T) {
		told := (&world{t: t, origin: w.origin, client: w.client}).follow(byName.token(Audience), ofScores).until("scores", func(m message) bool { return m.Detail != nil })
		if len(told.Detail.History) > 0 || !strings.Contains(told.Link.Releases, "kubectl auth can-i list releases.platform.mirubato.com --namespace "+w.music) {
			t.Errorf("%+v", told)
		}
	})
	t.Run("one that there is not, by who may know", func(t *testing.T) {
		told := (&world{t: t, origin: w.origin, client: w.client}).follow(one.token(Audience), "?namespace="+w.art+"&name=nothing").until("a state", func(m message) bool { return m.Link.Loaded })
		if told.Detail != nil || told.Overview != nil {
			t.Errorf("%+v", told)
		}
	})
}

func TestChangesAreToldAndNothingIsOffered(t *testing.T) {
	w := newWorld(t)
	both := reading(microservices, releases)
	all := w.follow(somebody(t).may(w.music, both).token(Audience), "")
	one := w.follow(somebody(t).may(w.music, both).token(Audience), "?namespace="+w.music+"&name=scores")
	all.until("scores", loaded)
	told := one.until("scores", func(m message) bool {
		return m.Detail != nil && len(m.Detail.Environments) == 1 && len(m.Detail.History) == 1
	})
	if len(told.Detail.Verbs)+len(told.Detail.Environments[0].Verbs) > 0 {
		t.Errorf("offered are %v and %v", told.Detail.Verbs, told.Detail.Environments[0].Verbs)
	}
	w.tell(w.music, "scores", "1.1.0: verified everywhere")
	all.until("what has changed", func(m message) bool { return m.Overview.Microservices[0].Summary == "1.1.0: verified everywhere" })
	one.until("what has changed", func(m message) bool { return m.Detail.Summary == "1.1.0: verified everywhere" })
	if err := direct.Delete(t.Context(), &v1alpha1.Microservice{ObjectMeta: metaOf(w.music, "scores")}); err != nil {
		t.Fatal(err)
	}
	one.until("its end", func(m message) bool { return m.Detail == nil })
}

// TestRightsThatAreWithdrawn: nothing of a namespace is told once its rights are gone, and a stream ends that has nothing left to tell.
func TestRightsThatAreWithdrawn(t *testing.T) {
	w := newWorld(t)
	both := reading(microservices, releases)
	a, b := somebody(t).may(w.music, both).may(w.art, both), somebody(t).may(w.music, both)
	all := w.follow(a.token(Audience), "")
	one := w.follow(a.token(Audience), "?namespace="+w.music+"&name=scores")
	others := w.follow(b.token(Audience), "")
	all.until("both", func(m message) bool { return loaded(m) && len(shown(m)) == 2 })
	one.until("scores", func(m message) bool { return m.Detail != nil })
	others.until("scores", loaded)

	began := time.Now()
	a.mayNot(w.music)
	if last := one.ended(); last.kind != "failed" || !strings.Contains(last.data, "may not see Microservice scores") {
		t.Errorf("it ends with %+v", last)
	}
	t.Logf("it ended %s after the rights", time.Since(began).Round(time.Millisecond))
	all.until("one", func(m message) bool { return cmp.Equal(shown(m), []string{w.art + "/pictures 1.1.0"}) })
	a.mayNot(w.art)
	if last := all.ended(); last.kind != "failed" || !strings.Contains(last.data, "in no namespace") {
		t.Errorf("it ends with %+v", last)
	}
	w.tell(w.music, "scores", "others go on")
	others.until("what has changed", func(m message) bool { return m.Overview.Microservices[0].Summary == "others go on" })

	b.leave()
	if last := others.ended(); last.kind != "failed" || last.data != saidUnknown {
		t.Errorf("without its account it ends with %+v", last)
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	w := newWorld(t)
	token := somebody(t).may("", []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}).token(Audience)
	for _, path := range []string{"/", "/api/events", "/api/orders", "/api/rights", "/site/start.js", "/open/x", "/metrics", "/debug/pprof/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			isThere := method == http.MethodGet && slices.Contains([]string{"/", "/api/events", "/site/start.js"}, path)
			answer := w.ask(method, path, token, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
			if refused := answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusMethodNotAllowed; refused == isThere {
				t.Errorf("%s %s: %s", method, path, answer.Status)
			}
			_ = answer.Body.Close() // a stream would go on
		}
	}
}

func TestSigningIn(t *testing.T) {
	w := newWorld(t)
	token := somebody(t).may(w.music, reading(microservices, releases)).token(Audience)
	post := func(path, token string, change ...func(*http.Request)) reply {
		t.Helper()
		return w.ask(http.MethodPost, path, "", append([]func(*http.Request){func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = bodyOf(url.Values{"token": {token}}.Encode())
			r.ContentLength = -1
		}}, change...)...)
	}
	in := post("/signin", " "+token+"\n")
	cookies := in.Cookies()
	if in.StatusCode != http.StatusSeeOther || in.Header.Get("Location") != "/" || len(cookies) != 1 {
		t.Fatalf("%s %v: %s", in.Status, in.Header, text(t, in))
	}
	if c := cookies[0]; c.Name != "__Host-mirubato-token" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() || c.Value != token {
		t.Errorf("the cookie is %v", c)
	}
	with := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: value}) }
	}
	if got := w.ask(http.MethodGet, "/", "", with(token)); got.StatusCode != http.StatusOK || !strings.Contains(text(t, got), "/site/start.js") {
		t.Errorf("the page with the cookie: %s", got.Status)
	}
	if got := w.ask(http.MethodGet, "/", "", with("garbage")); got.StatusCode != http.StatusUnauthorized || !strings.Contains(text(t, got), saidUnknown) {
		t.Errorf("the page with another cookie: %s", got.Status)
	}
	if got := w.ask(http.MethodGet, "/api/events", "garbage", with(token)); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a header beside the cookie: %s", got.Status)
	}
	for name, tc := range map[string]struct {
		answer reply
		status int
		says   string
	}{
		"no token":             {post("/signin", ""), http.StatusUnauthorized, saidUnknown},
		"garbage":              {post("/signin", "garbage<script>"), http.StatusUnauthorized, saidUnknown},
		"one that is too long": {post("/signin", strings.Repeat("x", maxCookie+1)), http.StatusBadRequest, saidTooLong},
		"more than a form":     {post("/signin", strings.Repeat("x", maxForm)), http.StatusUnauthorized, saidUnknown},
		"from elsewhere":       {post("/signin", token, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }), http.StatusForbidden, ""},
		"from another site":    {post("/signin", token, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }), http.StatusForbidden, ""},
		"out, from elsewhere":  {post("/signout", "", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }), http.StatusForbidden, ""},
		"by reading":           {w.ask(http.MethodGet, "/signin?token="+token, ""), http.StatusMethodNotAllowed, ""},
		"by the address":       {w.ask(http.MethodPost, "/signin?token="+token, ""), http.StatusUnauthorized, saidUnknown},
	} {
		said := text(t, tc.answer)
		if tc.answer.StatusCode != tc.status || !strings.Contains(said, tc.says) || len(tc.answer.Cookies()) > 0 || strings.Contains(said, "<script>") {
			t.Errorf("%s: %s: %s", name, tc.answer.Status, said)
		}
	}
	out := post("/signout", "", with(token))
	if gone := out.Cookies(); out.StatusCode != http.StatusSeeOther || len(gone) != 1 || gone[0].Name != cookieName || gone[0].Value != "" || gone[0].MaxAge >= 0 {
		t.Errorf("signing out: %s %v", out.Status, gone)
	}
	if log := w.log.String(); !strings.Contains(log, "signing in to the dashboard") || strings.Contains(log, "eyJ") {
		t.Errorf("it is logged:\n%s", log)
	}
}

func TestPagesAreFew(t *testing.T) {
	w := newWorld(t)
	token := somebody(t).may(w.music, reading(microservices, releases)).token(Audience)
	var open []*stream
	for range maxPagesEach {
		open = append(open, w.follow(token, ""))
	}
	answer := w.ask(http.MethodGet, "/api/events", token)
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %s", answer.Status)
	}
	_ = open[0].answer.Body.Close()
	for late := time.Now().Add(patience); ; {
		again := w.ask(http.MethodGet, "/api/events", token)
		if again.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("after one has gone: %s", again.Status)
		}
	}
}

func TestTheEndIsGraceful(t *testing.T) {
	w := newWorld(t)
	s := w.follow(somebody(t).may(w.music, reading(microservices, releases)).token(Audience), "")
	s.until("scores", loaded)
	began := time.Now()
	if err := w.end(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if took := time.Since(began); took > graceful+5*time.Second { // generous: this machine does much else
		t.Errorf("it takes %s to end", took)
	}
	if last := s.ended(); last.kind == "failed" && last.data != "" {
		t.Errorf("the stream ends with %+v", last)
	}
}

func TestACertificateThatIsNone(t *testing.T) {
	if _, err := New(Options{Certificates: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "reading the certificate of the dashboard in ") {
		t.Errorf("%v", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	w := newWorld(t)
	host := strings.TrimPrefix(w.origin, "https://")
	if connection, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = connection.Close()
		t.Error("TLS 1.1 is spoken")
	}
}
