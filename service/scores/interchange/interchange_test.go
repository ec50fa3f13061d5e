package interchange_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/interchange"
)

var alice = auth.Identity{ID: "alice", Role: auth.RoleUser}

// patience is how long a test waits for something that takes moments.
const patience = 20 * time.Second

// archive is a repository that fails as it is told.
type archive struct {
	// pages are how many pages an export has; negative is no end. failure is what it then fails with.
	pages   int
	failure error
	// ended is told what each export ended with.
	ended chan error
	// refuses is a title that the database cannot hold.
	refuses string
	batches []int
}

func (a *archive) Export(ctx context.Context, _ string, begin func(int64) error, page func([]scores.Score) error) error {
	err := a.export(ctx, begin, page)
	a.ended <- err
	return err
}

func (a *archive) export(ctx context.Context, begin func(int64) error, page func([]scores.Score) error) error {
	if err := begin(7); err != nil {
		return err
	}
	for n := 0; n != a.pages; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := page(pageOf(1000)); err != nil {
			return err
		}
	}
	return a.failure
}

// pageOf is a page of about as many bytes.
func pageOf(n int) []scores.Score {
	return []scores.Score{{Fields: scores.Fields{Title: strings.Repeat("x", n), Metadata: json.RawMessage("{}")}}}
}

func (a *archive) Import(
	_ context.Context, _ string, _ []string, decide func(map[string]scores.Fields) []scores.Score,
) (map[string]interchange.Outcome, error) {
	all := decide(nil)
	a.batches = append(a.batches, len(all))
	outcomes := map[string]interchange.Outcome{}
	for _, s := range all {
		if s.Title == a.refuses {
			return nil, fault.InvalidInput("refused", fault.Detail{Code: "refused", Message: "cannot be kept"})
		}
		outcomes[s.ID] = interchange.Created
	}
	return outcomes, a.failure
}

func newService(a *archive) *interchange.Service {
	a.ended = make(chan error, 8)
	return interchange.New(a, scores.New(nil, uuid.NewString), uuid.NewString)
}

// unmeasured counts nothing.
type unmeasured struct{}

func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}

// callers lets everybody through as alice.
type callers struct{}

func (callers) Guard(_ httpapi.Access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(auth.NewContext(r.Context(), alice)))
	})
}

// serve serves the routes with a timeout that no export keeps to.
func serve(t *testing.T, a *archive, timeout time.Duration) string {
	t.Helper()
	router := httpapi.NewRouter()
	router.Mount(callers{}, interchange.Routes(newService(a), nil))
	server := httptest.NewServer(httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: unmeasured{}, RequestTimeout: httpapi.Fixed(timeout), MaxBody: 1 << 20,
	}, router))
	t.Cleanup(server.Close)
	return server.URL
}

// download is an export while it is read.
type download struct {
	status int
	header http.Header
	body   io.ReadCloser
}

func get(t *testing.T, url string) download {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/scores/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return download{status: res.StatusCode, header: res.Header, body: res.Body}
}

func (a *archive) await(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the export did not end")
	}
	return nil
}

func TestExportThatBreaksOffIsNoWholeAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		archive *archive
		whole   bool
	}{
		"without a failure": {&archive{pages: 3}, true},
		"with one":          {&archive{pages: 3, failure: fault.New(fault.Unavailable, "gone")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			res := get(t, serve(t, tc.archive, time.Minute))
			body, err := io.ReadAll(res.body)
			if res.status != http.StatusOK || res.header.Get(interchange.CountHeader) != "7" || bytes.Count(body, []byte("\n")) != 3 {
				t.Errorf("%d %v with %d bytes", res.status, res.header, len(body))
			}
			if (err == nil) != tc.whole {
				t.Errorf("reading it all: %v", err)
			}
		})
	}
	t.Run("before it began", func(t *testing.T) {
		a := &archive{}
		service := newService(a)
		err := service.Export(t.Context(), alice, interchange.JSONL, unwilling{})
		if !errors.Is(err, errUnwilling) {
			t.Errorf("%v", err)
		}
	})
}

var errUnwilling = errors.New("no")

// unwilling is a destination that takes nothing.
type unwilling struct{}

func (unwilling) Write([]byte) (int, error) { return 0, errUnwilling }
func (unwilling) Begin(int64) error         { return errUnwilling }
func (unwilling) Flush() error              { return errUnwilling }

func TestExportEndsWhenItsClientGoesAway(t *testing.T) {
	a := &archive{pages: -1}
	res := get(t, serve(t, a, time.Minute))
	if _, err := io.CopyN(io.Discard, res.body, 10_000); err != nil {
		t.Fatal(err)
	}
	_ = res.body.Close()
	if err := a.await(t); err == nil {
		t.Error("it ended by itself")
	}
}

// A request's timeout is meant for answers that are made in one piece.
func TestExportOutlastsTheTimeoutOfRequests(t *testing.T) {
	const timeout = 50 * time.Millisecond
	a := &archive{pages: -1}
	res := get(t, serve(t, a, timeout))
	began := time.Now()
	for time.Since(began) < 4*timeout {
		if _, err := io.CopyN(io.Discard, res.body, 1000); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExportsAtOnceAreBounded(t *testing.T) {
	a := &archive{pages: -1}
	url := serve(t, a, time.Minute)
	first, second := get(t, url), get(t, url)
	third := get(t, url)
	if third.status != http.StatusServiceUnavailable || third.header.Get("Retry-After") != "5" {
		t.Errorf("the third: %d %v", third.status, third.header)
	}
	_, _ = first.body.Close(), second.body.Close()
	for range 2 {
		_ = a.await(t)
	}
}

// lines are as many lines, of which one holds a title that the database refuses.
func lines(count, at int, title string) string {
	var b strings.Builder
	for n := range count {
		if n == at {
			fmt.Fprintf(&b, "{\"title\":%q}\n", title)
			continue
		}
		fmt.Fprintf(&b, "{\"title\":\"%d\"}\n", n)
	}
	return b.String()
}

func TestImportFindsTheLineThatTheDatabaseRefuses(t *testing.T) {
	a := &archive{refuses: "bad"}
	report, err := newService(a).ImportAll(t.Context(), alice, interchange.JSONL, strings.NewReader(lines(600, 301, "bad")), interchange.Every)
	if err != nil || report.Created != 599 || report.Refused != 1 {
		t.Fatalf("%+v, %v", report.Counts, err)
	}
	want := interchange.Line{Line: 302, ID: report.Lines[301].ID, Outcome: interchange.Refused, Details: []fault.Detail{{Code: "refused", Message: "cannot be kept"}}}
	if diff := cmp.Diff(want, report.Lines[301]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n, line := range report.Lines {
		if line.Line != n+1 {
			t.Fatalf("line %d is told of as number %d", line.Line, n+1)
		}
	}
	if len(a.batches) > 25 {
		t.Errorf("it took %d transactions", len(a.batches))
	}
}

// slowly sends a file in pieces, with pauses that together are longer than a request may take.
type slowly struct {
	pieces int
	pause  time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.pieces--; s.pieces < 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	piece := `{"title":"a","description":"` + strings.Repeat("x", 4000) + `"}` + "\n" + `{"title":""}` + "\n"
	return copy(p, piece), nil
}

// zeros is a body without end in which there is nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func send(t *testing.T, url string, body io.Reader) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/scores/import", io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text
}

// Where there is no storage they are done while their client waits.
func TestLargeFilesTakeTheirTimeAndAreToldOfInBrief(t *testing.T) {
	const timeout, pieces = 100 * time.Millisecond, 500
	url := serve(t, &archive{}, timeout)
	status, text := send(t, url, &slowly{pieces: pieces, pause: time.Millisecond})
	var got httpapi.Envelope[interchange.Report]
	if err := json.Unmarshal(text, &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, %v", status, text, err)
	}
	if got.Data.Created != pieces || got.Data.Refused != pieces || len(got.Data.Lines) != pieces || got.Data.Lines[1].Line != 4 {
		t.Errorf("%+v with %d lines", got.Data.Counts, len(got.Data.Lines))
	}
	if status, text := send(t, url, io.LimitReader(zeros{}, interchange.MaxFile+1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %s", status, text)
	}
}

func TestImportEndsWithTheDatabase(t *testing.T) {
	a := &archive{failure: fault.New(fault.Unavailable, "gone")}
	_, err := newService(a).ImportAll(t.Context(), alice, interchange.JSONL, strings.NewReader(lines(600, -1, "")), interchange.Every)
	if fault.CodeOf(err) != fault.Unavailable || len(a.batches) != 1 {
		t.Errorf("%v after %d transactions", err, len(a.batches))
	}
}

func TestLinesAreBounded(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	for format, file := range map[interchange.Format]string{
		interchange.JSONL: "{\"title\":\"" + long + "\"}\n{\"title\":\"a\"}\n",
		interchange.CSV:   "title\n\"" + long + "\n\n\"\na\n",
	} {
		t.Run(string(format), func(t *testing.T) {
			report, err := newService(&archive{}).ImportAll(t.Context(), alice, format, strings.NewReader(file), interchange.Every)
			if err != nil || report.Created != 1 || report.Refused != 1 || report.Lines[0].Details[0].Code != "max" {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	f.Add("id,title\r\n,\"a\"\r\n", true)
	f.Add("{\"title\":\"a\"}\n", false)
	f.Add("title;tags\n\"'=a\";x;y\n", true)
	f.Fuzz(func(t *testing.T, file string, table bool) {
		format := interchange.JSONL
		if table {
			format = interchange.CSV
		}
		report, err := newService(&archive{}).ImportAll(t.Context(), alice, format, strings.NewReader(file), interchange.Every)
		if code := fault.CodeOf(err); code != "" && code != fault.Invalid {
			t.Fatalf("%v", err)
		}
		for _, line := range report.Lines {
			if (line.Outcome == interchange.Refused) != (len(line.Details) > 0) {
				t.Fatalf("%+v", line)
			}
		}
	})
}
