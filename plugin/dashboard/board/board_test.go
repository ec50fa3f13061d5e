package board

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// put returns a board with Microservices that are at a release each.
func put(names ...client.ObjectKey) *Board {
	b := New()
	for _, name := range names {
		ms, r := microservice(name.Name), release(name.Name+"-2", "1.1.0")
		ms.Namespace, r.Namespace = name.Namespace, name.Namespace
		r.Spec.Microservice = name.Name
		b.Put(&ms)
		b.Put(&r)
	}
	return b
}

var ofTwoNamespaces = []client.ObjectKey{{Namespace: "art", Name: "pictures"}, {Namespace: "music", Name: "scores"}, {Namespace: "music", Name: "catalogue"}}

func TestNothingIsShownThatMayNotBeSeen(t *testing.T) {
	b := put(ofTwoNamespaces...)
	if got := b.Namespaces(); !slices.Equal(got, []string{"art", "music"}) {
		t.Errorf("namespaces are %v", got)
	}
	only := func(kinds ...Kind) func(Kind, string) bool {
		return func(kind Kind, namespace string) bool { return namespace == "music" && slices.Contains(kinds, kind) }
	}
	for name, tc := range map[string]struct {
		scope                   Scope
		microservices, releases int
	}{
		"everything":                    {Scope{}, 3, 3},
		"a namespace":                   {Scope{Sees: only(Microservices, Releases)}, 2, 2},
		"a namespace without Releases":  {Scope{Sees: only(Microservices)}, 2, 0},
		"Releases alone":                {Scope{Sees: only(Releases)}, 0, 0},
		"one":                           {Scope{Namespace: "music", Name: "scores", Sees: only(Microservices, Releases)}, 1, 1},
		"one without Releases":          {Scope{Namespace: "music", Name: "scores", Sees: only(Microservices)}, 1, 0},
		"one that is elsewhere":         {Scope{Namespace: "art", Name: "pictures", Sees: only(Microservices, Releases)}, 0, 0},
		"one of which there is nothing": {Scope{Namespace: "music", Name: "pictures"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.Now(tc.scope)
			if len(got.Microservices) != tc.microservices || len(got.Releases) != tc.releases {
				t.Errorf("%d Microservices and %d Releases, want %d and %d", len(got.Microservices), len(got.Releases), tc.microservices, tc.releases)
			}
		})
	}
}

func TestChangesWake(t *testing.T) {
	b := put(ofTwoNamespaces...)
	ms, r := microservice("scores"), release("scores-2", "1.2.0")
	for name, change := range map[string]func(){
		"putting": func() { b.Put(&ms) }, "putting a Release": func() { b.Put(&r) }, "removing": func() { b.Remove(&ms) }, "losing": func() { b.Lose(Releases, "no") },
		"replacing": func() { b.Replace(Releases, nil) }, "loading": b.Load,
	} {
		before := b.Now(Scope{}).Changed
		change()
		select {
		case <-before:
		default:
			t.Errorf("%s wakes nobody", name)
		}
	}
}

// TestReadersAreOfferedNothing has a Microservice of which much could be done.
func TestReadersAreOfferedNothing(t *testing.T) {
	e := v1alpha1.EnvironmentStatus{
		Name: "production", Step: v1alpha1.StepAdmit, Target: "scores-2", Release: "scores-1", Verified: "scores-1", PlanHash: "01",
		WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval, Since: ago(0)},
	}
	ms, r := microservice("scores", e), release("scores-2", "1.1.0")
	r.Spec.Microservice = "scores"
	b := New()
	b.Put(&ms)
	b.Put(&r)
	count := func(scope Scope) int {
		scope.Namespace, scope.Name = "music", "scores"
		got, err := Told(b.Now(scope), scope)
		if err != nil {
			t.Fatal(err)
		}
		return len(got.Detail.Verbs) + len(got.Detail.Environments[0].Verbs)
	}
	if offered := count(Scope{}); offered < 2 {
		t.Fatalf("%d orders are offered otherwise", offered)
	}
	if offered := count(Scope{ReadOnly: true}); offered > 0 {
		t.Errorf("%d orders are offered", offered)
	}
}

// BenchmarkOverview is what each change costs for each page that shows all of a thousand Microservices.
func BenchmarkOverview(b *testing.B) {
	var names []client.ObjectKey
	for n := range 1000 {
		names = append(names, client.ObjectKey{Namespace: "music", Name: fmt.Sprint("scores-", n)})
	}
	all := put(names...)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := next(b.Context(), func(context.Context) (Message, <-chan struct{}, error) {
			now := all.Now(Scope{})
			what, err := Told(now, Scope{})
			return what, now.Changed, err
		}); err != nil {
			b.Fatal(err)
		}
	}
}
