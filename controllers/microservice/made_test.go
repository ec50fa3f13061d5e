package microservice

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// TestWhatWasMadeIsTrustedUntilTheCacheKnows writes a ConfigMap in version 7, and looks again.
func TestWhatWasMadeIsTrustedUntilTheCacheKnows(t *testing.T) {
	key := environment.ObjectKey{Kind: "ConfigMap", Name: "scores"}
	version := func(v string) client.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "scores", ResourceVersion: v}}
	}
	for name, tc := range map[string]struct {
		before, after client.Object
		later         time.Duration
		meanwhile     func(*made, *station)
		want          bool
	}{
		"the cache has not heard of a new one":     {want: true},
		"it has not heard of a change":             {before: version("5"), after: version("5"), want: true},
		"it has heard of it":                       {after: version("7")},
		"it has heard of what came later":          {before: version("5"), after: version("8")},
		"what was there is removed":                {before: version("5")},
		"a version that is no number is a new one": {before: version("5"), after: version("x")},
		"after a while the cache is right":         {later: trust},
		"a clock that was set back decides":        {later: -time.Second},
		"it was removed":                           {meanwhile: func(m *made, s *station) { m.drop(s.place.Owner.Microservice, s.madeKey(key)) }},
		"the Microservice is gone":                 {meanwhile: func(m *made, s *station) { m.forget(s.place.Owner.Microservice) }},
		"the environment has moved":                {meanwhile: func(_ *made, s *station) { s.place.Namespace = "other" }},
		"it is in another cluster":                 {meanwhile: func(_ *made, s *station) { s.cluster = &clusters.Cluster{ID: "other"} }},
	} {
		t.Run(name, func(t *testing.T) {
			m, now := &made{}, time.Now()
			s := &station{cluster: &clusters.Cluster{}, place: environment.Place{
				Owner: ownership.Owner{Microservice: types.NamespacedName{Namespace: "home", Name: "scores"}, Environment: "staging"}, Namespace: "ns",
			}}
			s.facts.Live = map[environment.ObjectKey]client.Object{}
			if tc.before != nil {
				s.facts.Live[key] = tc.before
			}
			m.remember(s, key, version("7"), "hash", now)
			delete(s.facts.Live, key)
			if tc.after != nil {
				s.facts.Live[key] = tc.after
			}
			if tc.meanwhile != nil {
				tc.meanwhile(m, s)
			}
			for range 2 { // what is not heard of stays so
				if hash, unheard := m.unheard(s, now.Add(tc.later))[key]; unheard != tc.want || unheard && hash != "hash" {
					t.Fatalf("not heard of: %t (%q), want %t", unheard, hash, tc.want)
				}
			}
		})
	}
}

// TestPodsAreToldOnce has the cache lag behind what a pod was told.
func TestPodsAreToldOnce(t *testing.T) {
	m, now := &made{}, time.Now()
	s := &station{cluster: &clusters.Cluster{}}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "scores-1", ResourceVersion: "5"}}
	s.facts.Pods = []corev1.Pod{pod}
	key := environment.ObjectKey{Kind: podKind, Name: pod.Name}
	told := pod.DeepCopy()
	told.ResourceVersion = "6"
	m.remember(s, key, told, "3", now)
	if got := m.unheard(s, now)[key]; got != "3" {
		t.Errorf("it was told %q, want 3", got)
	}
	s.facts.Pods[0].ResourceVersion = "6"
	if got, unheard := m.unheard(s, now)[key]; unheard {
		t.Errorf("the cache has heard that it was told %q", got)
	}
}
