package analysis

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

func TestFill(t *testing.T) {
	s := Subject{
		PodNamespace: "songs-staging", Release: "1.0-abc",
		New: []podclient.Pod{{Name: "songs-canary-1"}, {Name: "songs.canary-2"}},
	}
	got, err := fill(`sum(rate(x{namespace="$(namespace)",release="$(release)",pod=~"$(pods)"}[1m])) # $(other)`, &s)
	want := `sum(rate(x{namespace="songs-staging",release="1.0-abc",pod=~"songs-canary-1|songs[.]canary-2"}[1m])) # $(other)`
	if err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	for _, evil := range []string{`a"} or x{y="`, `a\`, "a\n", "$(pods)", "a|b", "ä"} {
		for _, s := range []Subject{{PodNamespace: evil}, {Release: evil}, {New: []podclient.Pod{{Name: evil}}}} {
			if got, err := fill("$(namespace)$(release)$(pods)", &s); err == nil {
				t.Errorf("filled in as %s", got)
			}
		}
	}
}

func TestQueries(t *testing.T) {
	answers := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	vector := func(series string) http.HandlerFunc {
		return answers(`{"status":"success","data":{"resultType":"vector","result":[` + series + `]}}`)
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    v1alpha1.Verdict
		message string
	}{
		"one series":      {vector(`{"metric":{},"value":[1000.1,"4.5"]}`), v1alpha1.VerdictPass, "hits 4.5, at most 10 accepted"},
		"a scalar":        {answers(`{"status":"success","data":{"resultType":"scalar","result":[1000.1,"4.5"]}}`), v1alpha1.VerdictPass, "hits 4.5"},
		"too high":        {vector(`{"value":[1000.1,"45"]}`), v1alpha1.VerdictNotEnoughData, "hits 45, at most 10 accepted, not certain yet"},
		"no series":       {vector(``), v1alpha1.VerdictNotEnoughData, "hits is not known"},
		"not a number":    {vector(`{"value":[1000.1,"NaN"]}`), v1alpha1.VerdictNotEnoughData, "hits is not known"},
		"without end":     {vector(`{"value":[1000.1,"+Inf"]}`), v1alpha1.VerdictNotEnoughData, "hits is not known"},
		"two series":      {vector(`{"value":[1,"1"]},{"value":[1,"2"]}`), v1alpha1.VerdictSourceDown, "metric hits: the query leads to 2 series instead of one number; add them up with sum()"},
		"a range":         {answers(`{"status":"success","data":{"resultType":"matrix","result":[]}}`), v1alpha1.VerdictSourceDown, "the query leads to a matrix"},
		"no number in it": {vector(`{"value":[1,"many"]}`), v1alpha1.VerdictSourceDown, "many"},
		"strange":         {answers(`{"status":"success","data":{"resultType":"vector","result":7}}`), v1alpha1.VerdictSourceDown, "reading the answer of Prometheus"},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"parse error at char 3"}`)
		}, v1alpha1.VerdictSourceDown, "the query is refused: parse error at char 3"},
		"somebody else": {answers("secret page"), v1alpha1.VerdictSourceDown, "the answer (status 200) is not that of Prometheus"},
		"endless":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxQueryAnswer+1)) }, v1alpha1.VerdictSourceDown, "larger than"},
		"a redirect":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, v1alpha1.VerdictSourceDown, "the answer (status 302)"},
		"it hangs":      {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, v1alpha1.VerdictSourceDown, "no answer of Prometheus within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			t.Cleanup(server.Close)
			w := queried(t, server.URL)
			w.observe(tc.want, tc.message)
		})
	}
}

// queried is a world with a release that has enough requests and a query for hits, at most 10.
func queried(t *testing.T, url string) *world {
	t.Helper()
	w := newWorld(t, []string{"new"}, []string{"old"})
	w.observe(v1alpha1.VerdictNotEnoughData, "")
	w.pods["new"].answer(60, 0)
	w.pods["old"].answer(60, 0)
	w.subject.Rules.PrometheusURL = url
	w.subject.Rules.ErrorRatio = &v1alpha1.RatioRule{}
	w.subject.Rules.Metrics = []v1alpha1.MetricRule{{Name: "hits", Query: `x{pod=~"$(pods)"}`, Max: "10"}}
	return w
}

func TestTheQueryIsSentAsAForm(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.PostFormValue("query")))
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"scalar","result":[1,"11"]}}`)
	}))
	t.Cleanup(server.Close)
	w := queried(t, server.URL+"/prefix/")
	w.observe(v1alpha1.VerdictNotEnoughData, "hits 11")
	w.observe(v1alpha1.VerdictNotEnoughData, "hits 11")
	w.observe(v1alpha1.VerdictFail, "hits 11, at most 10 accepted")
	if want := `POST /prefix/api/v1/query x{pod=~"new"}`; got.Load() != want {
		t.Errorf("got %v, want %s", got.Load(), want)
	}
}

func TestNoPrometheus(t *testing.T) {
	w := queried(t, "")
	w.observe(v1alpha1.VerdictSourceDown, "metric hits: analysis.prometheusURL is not set")
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	w.subject.Rules.PrometheusURL = closed.URL
	w.observe(v1alpha1.VerdictSourceDown, "connection refused")
	w.pods["new"].answer(0, 60)
	w.pods["old"].answer(60, 0)
	w.observe(v1alpha1.VerdictFail, "errors 60 of 120") // which needs no Prometheus
}
