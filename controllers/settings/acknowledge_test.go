package settings_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/settings"
)

var (
	noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	key  = settings.Key{Microservice: types.NamespacedName{Namespace: "home", Name: "scores"}, Environment: "staging"}
)

// service is a pod that answers its health path.
type service struct {
	answer    atomic.Value
	asked     atomic.Int32
	reader    *settings.Reader
	endpoints at
}

func serve(t *testing.T, answer string) *service {
	t.Helper()
	s := &service{}
	s.answer.Store(answer)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if r.URL.Path != "/health" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(s.answer.Load().(string)))
	}))
	t.Cleanup(server.Close)
	s.reader, s.endpoints = settings.NewReader(podclient.New(), nil), at(server.URL)
	return s
}

// at reaches every pod at one address.
type at string

// BaseURL implements podclient.Endpoints.
func (a at) BaseURL(podclient.Pod, int) (string, error) { return string(a), nil }

func (s *service) read(t *testing.T, pod corev1.Pod, generation int64, now time.Time) settings.Result {
	t.Helper()
	pods := settings.Pods{Assigned: []settings.Assignment{{Pod: pod, Generation: generation}}, Endpoints: s.endpoints}
	return s.reader.Read(t.Context(), key, pods, now)
}

func TestWhatPodsAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer, missing string
		rejected        bool
	}{
		"the generation":          {`{"settings": {"generation": 2}}`, "", false},
		"the one before":          {`{"settings": {"generation": 1}}`, "generation 1 is in force", false},
		"a refusal":               {`{"settings": {"generation": 1, "rejected": 2, "error": "cors.maxAge must\nbe"}}`, "cors.maxAge must be", true},
		"a refusal of another":    {`{"settings": {"generation": 1, "rejected": 3, "error": "no"}}`, "generation 1 is in force", false},
		"nothing of settings":     {`{"status": "ok"}`, `/health does not say under "settings" which generation is in force`, false},
		"no JSON":                 {`<html>`, `/health does not say under "settings" which generation is in force`, false},
		"more than anybody reads": {strings.Repeat(" ", 2<<20), "/health is not answered", false},
		"a long refusal":          {`{"settings": {"rejected": 2, "error": "` + strings.Repeat("ä", 1000) + `"}}`, strings.Repeat("ä", 300), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := serve(t, tc.answer).read(t, pod("a", ownership.ComponentAPI, "new", "2"), 2, noon)
			if got.Missing["a"] != tc.missing || (tc.missing == "") != (got.Acknowledged == 1) || got.Pods != 1 {
				t.Errorf("missing %q, %d of %d acknowledged; want %q", got.Missing["a"], got.Acknowledged, got.Pods, tc.missing)
			}
			var want []v1alpha1.SettingsRejection
			if tc.rejected {
				want = []v1alpha1.SettingsRejection{{Pod: "a", Reason: tc.missing}}
			}
			if diff := cmp.Diff(want, got.Rejected); diff != "" {
				t.Errorf("rejected (-want +got):\n%s", diff)
			}
			if got.Failed["a"] {
				t.Error("a refusal counts as a failure before the kubelet had time to write the file")
			}
			if got.Next.IsZero() != (tc.missing == "") {
				t.Errorf("looks again at %s", got.Next)
			}
		})
	}
}

func TestPodsAreAskedUntilTheyAcknowledge(t *testing.T) {
	t.Parallel()
	s := serve(t, `{"settings": {"generation": 1}}`)
	p := pod("a", ownership.ComponentAPI, "new", "2")
	expect := func(what string, got settings.Result, acknowledged, asked int32) {
		t.Helper()
		if got.Acknowledged != acknowledged || s.asked.Load() != asked {
			t.Fatalf("%s: %d acknowledged after %d requests, want %d after %d", what, got.Acknowledged, s.asked.Load(), acknowledged, asked)
		}
	}
	untold := pod("a", ownership.ComponentAPI, "new", "1")
	expect("a pod that was not told is not asked", s.read(t, untold, 2, noon), 0, 0)
	first := s.read(t, p, 2, noon)
	expect("one that was told is, at once", first, 0, 1)
	expect("and not again before it is time", s.read(t, p, 2, noon), 0, 1)
	s.answer.Store(`{"settings": {"generation": 2}}`)
	expect("then it is", s.read(t, p, 2, first.Next), 1, 2)
	expect("what it said once is remembered", s.read(t, p, 2, noon.Add(time.Hour)), 1, 2)
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 1}}
	expect("until its container starts anew", s.read(t, p, 2, noon.Add(time.Hour)), 1, 3)
	s.reader.Forget(key)
	expect("or the operator does", s.read(t, p, 2, noon.Add(time.Hour)), 1, 4)
}

func TestRefusalThatLastsIsAFailure(t *testing.T) {
	t.Parallel()
	s := serve(t, `{"settings": {"generation": 1, "rejected": 2, "error": "there is no file 2.yaml"}}`)
	p := pod("a", ownership.ComponentAPI, "new", "2")
	for _, after := range []time.Duration{0, 4 * time.Second} {
		if s.read(t, p, 2, noon.Add(after)).Failed["a"] {
			t.Fatalf("it failed after %s", after)
		}
	}
	if !s.read(t, p, 2, noon.Add(5*time.Second)).Failed["a"] {
		t.Error("it has not failed after 5s")
	}
	p = pod("a", ownership.ComponentAPI, "new", "3")
	if got := s.read(t, p, 3, noon.Add(6*time.Second)); got.Failed["a"] || len(got.Rejected) > 0 {
		t.Error("a refusal of generation 2 counts against 3")
	}
}

func TestKubeletIsReminded(t *testing.T) {
	t.Parallel()
	s := serve(t, `{"settings": {"generation": 1}}`)
	p := pod("a", ownership.ComponentAPI, "new", "2")
	var reminded []time.Duration
	for after := time.Duration(0); after < 2*time.Minute; after += 25 * time.Millisecond {
		if s.read(t, p, 2, noon.Add(after)).Overdue["a"] {
			reminded = append(reminded, after)
		}
	}
	const first = 125 * time.Millisecond
	want := []time.Duration{first, 2 * first, 4 * first, 8 * first, 16 * first, 32 * first, 64 * first, 128 * first}
	if diff := cmp.Diff(want, reminded); diff != "" {
		t.Errorf("of a pod that stays behind (-want +got):\n%s", diff)
	}
	next := pod("a", ownership.ComponentAPI, "new", "3")
	later := noon.Add(time.Hour)
	if s.read(t, next, 3, later).Overdue["a"] || !s.read(t, next, 3, later.Add(first)).Overdue["a"] {
		t.Error("another generation is not given its time, or not reminded of")
	}
	s.answer.Store(`{"settings": {"generation": 3}}`)
	if s.read(t, next, 3, later.Add(time.Minute)).Overdue["a"] {
		t.Error("a pod that has acknowledged is late")
	}
	silent := serve(t, `<html>`)
	for after := time.Duration(0); after < time.Minute; after += time.Second {
		if silent.read(t, p, 2, noon.Add(after)).Overdue["a"] {
			t.Fatal("a pod that does not say what it runs with is called late")
		}
	}
}
