package restclient_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/resilience"
	"github.com/mirubato/mirubato/service/chassis/restclient"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

type unmeasured struct{}

func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}
func (unmeasured) CallRetried(string)                                 {}
func (unmeasured) CallRefused(string, string)                         {}

// word is what the other service, a dictionary, knows.
type word struct {
	Text    string `json:"text"`
	Meaning string `json:"meaning"`
}

// dictionary is another service, built as services are. answer decides what becomes of a request.
type dictionary struct {
	client *restclient.Client
	shield *resilience.Shield
	server *httptest.Server
	asked  atomic.Int32
	last   atomic.Pointer[http.Request]
	answer func(w http.ResponseWriter, r *http.Request) (word, error)
}

func startDictionary(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) (word, error)) *dictionary {
	t.Helper()
	d := &dictionary{answer: answer}
	router := httpapi.NewRouter()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		d.last.Store(r)
		found, err := d.answer(w, r)
		if err != nil {
			httpapi.WriteError(r.Context(), w, err)
			return
		}
		httpapi.OK(found).Write(r.Context(), w)
	})
	router.Handle("GET /api/words/{text}", handler)
	router.Handle("PUT /api/words/{text}", handler)
	router.Handle("POST /api/words", handler)
	router.Handle("DELETE /api/words/{text}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpapi.NoContent().Write(r.Context(), w)
	}))
	d.server = httptest.NewServer(httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: unmeasured{}, RequestTimeout: httpapi.Fixed(10 * time.Second), MaxBody: 1 << 20,
	}, router))
	t.Cleanup(d.server.Close)
	base, err := url.Parse(d.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	d.shield = resilience.New(resilience.Config{
		Dependency: "dictionary", Judge: restclient.Judge, Observer: unmeasured{}, Logger: slog.New(slog.DiscardHandler),
		Bulkhead: resilience.NewBulkhead(httpapi.Fixed(resilience.Limits{Concurrency: 10})),
		Policy: httpapi.Fixed(resilience.Policy{
			Timeout: 5 * time.Second, Retries: 1, RetryBudget: 100,
			Breaker: resilience.Breaker{FailurePercent: 50, MinimumCalls: 6, Window: time.Minute, OpenFor: time.Hour},
		}),
	})
	d.client = restclient.New(restclient.Config{Base: base, Shield: d.shield, Token: secret.FromValue("a token"), Conns: 2})
	t.Cleanup(d.client.Close)
	return d
}

func at(text string) ([]string, url.Values) { return []string{"api", "words", text}, nil }

func (d *dictionary) get(ctx context.Context, text string) (word, error) {
	return restclient.Call[string, word](d.client, restclient.Operation[string]{Method: http.MethodGet, Path: at})(ctx, text)
}

func (d *dictionary) add(ctx context.Context, w word) (word, error) {
	return restclient.Call[word, word](d.client, restclient.Operation[word]{
		Method: http.MethodPost, Path: func(word) ([]string, url.Values) { return []string{"api", "words"}, url.Values{"from": {"a&b"}} },
		Body: func(w word) any { return w },
	})(ctx, w)
}

func TestAnswersAreTyped(t *testing.T) {
	d := startDictionary(t, func(_ http.ResponseWriter, r *http.Request) (word, error) {
		if r.Method == http.MethodGet {
			return word{Text: r.PathValue("text"), Meaning: "slow"}, nil
		}
		sent, err := httpapi.DecodeJSON[word](r)
		sent.Meaning += " (" + r.URL.Query().Get("from") + ")"
		return sent, err
	})
	for _, text := range []string{"largo", "a/b", "molto vivace", "100%", "ça", "?x=1#y", "..."} {
		if got, err := d.get(t.Context(), text); err != nil || got.Text != text {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ".", ".."} {
		asked := d.asked.Load()
		if _, err := d.get(t.Context(), text); fault.CodeOf(err) != fault.Internal || d.asked.Load() != asked {
			t.Errorf("%q: %v, want it refused before it is sent", text, err)
		}
	}
	got, err := d.add(t.Context(), word{Text: "presto", Meaning: "fast"})
	if diff := cmp.Diff(word{Text: "presto", Meaning: "fast (a&b)"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	remove := restclient.Call[string, struct{}](d.client, restclient.Operation[string]{Method: http.MethodDelete, Path: at})
	if _, err := remove(t.Context(), "presto"); err != nil {
		t.Errorf("an answer without content: %v", err)
	}
}

func TestWhatIsHandedOn(t *testing.T) {
	d := startDictionary(t, func(http.ResponseWriter, *http.Request) (word, error) { return word{}, nil })
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	// The service in the middle: its handler asks the dictionary.
	middle := httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: unmeasured{}, RequestTimeout: httpapi.Fixed(3 * time.Second), MaxBody: 1,
	}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := d.get(trace.ContextWithSpanContext(r.Context(), span), "largo"); err != nil {
			t.Error(err)
		}
	}))
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	req.Header.Set(httpapi.RequestIDHeader, "request-7")
	middle.ServeHTTP(httptest.NewRecorder(), req)

	got := d.last.Load()
	if id := httpapi.RecordOf(got.Context()).RequestID; id != "request-7" {
		t.Errorf("request %q, want the one that is served", id)
	}
	if parent := got.Header.Get("Traceparent"); !strings.Contains(parent, span.TraceID().String()) {
		t.Errorf("trace %q, want %s", parent, span.TraceID())
	}
	if token := got.Header.Get("Authorization"); token != "Bearer a token" {
		t.Errorf("token %q", token)
	}
	deadline, ok := got.Context().Deadline()
	if left := time.Until(deadline); !ok || left > 3*time.Second {
		t.Errorf("the other service works for %s, want no longer than its caller waits", left)
	}
}

func TestErrorsAreFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want fault.Error
	}{
		"what is not there":       {fault.New(fault.NotFound, "Word not found"), fault.Error{Code: fault.NotFound, Message: "Word not found"}},
		"a bad input":             {fault.InvalidInput("Validation failed", fault.Detail{Field: "text", Code: "max", Message: "is too long"}), fault.Error{Code: fault.Invalid, Message: "Validation failed", Details: []fault.Detail{{Field: "text", Code: "max", Message: "is too long"}}}},
		"a conflict":              {fault.New(fault.Conflict, "It exists already"), fault.Error{Code: fault.Conflict, Message: "It exists already"}},
		"a missing right":         {fault.New(fault.Denied, "Not yours"), fault.Error{Code: fault.Denied, Message: "Not yours"}},
		"a token that is no good": {fault.New(fault.Unauthenticated, "Expired"), fault.Error{Code: fault.Internal, Message: "Expired"}},
		"a defect":                {errors.New("broken"), fault.Error{Code: fault.Internal, Message: "Internal server error"}},
		"being away":              {&fault.Error{Code: fault.Unavailable, Message: "Busy", RetryAfter: 7 * time.Second}, fault.Error{Code: fault.Unavailable, Message: "Busy", RetryAfter: 7 * time.Second}},
		"being slow":              {fault.New(fault.Timeout, "Too slow"), fault.Error{Code: fault.Timeout, Message: "Too slow"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDictionary(t, func(http.ResponseWriter, *http.Request) (word, error) { return word{}, tc.err })
			_, err := d.get(t.Context(), "largo")
			got := *fault.Of(err)
			if got.Err == nil || !strings.Contains(got.Err.Error(), "dictionary") {
				t.Errorf("the cause %v does not name the other service", got.Err)
			}
			got.Err = nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   fault.Code
	}{
		"no JSON":                  {200, "<html>", fault.Internal},
		"no envelope":              {200, `{"text":"largo"}`, fault.Internal},
		"a redirect":               {302, "", fault.Internal},
		"a proxy without a server": {502, "<html>", fault.Unavailable},
		"a proxy that waited":      {504, "<html>", fault.Timeout},
		"a limit":                  {429, `{"success":false,"code":"RATE_LIMIT_EXCEEDED","error":"Slow down"}`, fault.Unavailable},
		"a code that is another's": {404, `{"success":false,"code":"CONFLICT","error":"?"}`, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDictionary(t, nil)
			d.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://elsewhere.invalid/")
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			})
			if _, err := d.get(t.Context(), "largo"); fault.CodeOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

func TestReadsAreTriedAgainAndWritesAreNot(t *testing.T) {
	// Each request loses its connection after it was read; nobody knows what became of it.
	d := startDictionary(t, func(http.ResponseWriter, *http.Request) (word, error) { panic(http.ErrAbortHandler) })
	if _, err := d.get(t.Context(), "largo"); fault.CodeOf(err) != fault.Unavailable || d.asked.Load() < 2 {
		t.Errorf("a read was sent %d times, %v; want it sent again", d.asked.Load(), err)
	}
	d.asked.Store(0)
	if _, err := d.add(t.Context(), word{Text: "largo"}); fault.CodeOf(err) != fault.Unavailable || d.asked.Load() != 1 {
		t.Errorf("a write was sent %d times, %v; want it sent once", d.asked.Load(), err)
	}
}

func TestBreakerOpensWhenNobodyAnswers(t *testing.T) {
	d := startDictionary(t, func(http.ResponseWriter, *http.Request) (word, error) { return word{}, fault.New(fault.NotFound, "no") })
	for range 20 {
		_, _ = d.get(t.Context(), "largo")
	}
	if got := d.shield.State(); got != resilience.Closed {
		t.Errorf("after answers: %s", got)
	}
	d.server.Close()
	var err error
	for range 20 {
		if _, err = d.get(t.Context(), "largo"); errors.Is(err, resilience.ErrOpen) {
			break
		}
	}
	if !errors.Is(err, resilience.ErrOpen) || fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("without a server: %v, want the breaker open", err)
	}
}
