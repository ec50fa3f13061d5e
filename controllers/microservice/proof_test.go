package microservice

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// TestProofsEndWithWhatTheyAreOf compares a ConfigMap in one pass, and then changes it, or what is wanted, without telling by its version or
// hash: whoever looks again sees it, whoever relies on the proof does not.
func TestProofsEndWithWhatTheyAreOf(t *testing.T) {
	wanted := func(value string) manifest.Manifest {
		m, err := manifest.New(corev1ac.ConfigMap("scores", "ns").WithData(map[string]string{"a": value}))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, tc := range map[string]struct {
		change func(*corev1.ConfigMap)
		gone   bool
		want   bool
	}{
		"the same version is not looked at again": {want: true, change: func(m *corev1.ConfigMap) { m.Data["a"] = "edited" }},
		"another version is":                      {change: func(m *corev1.ConfigMap) { m.Data["a"], m.ResourceVersion = "edited", "8" }},
		"one that was made anew is":               {change: func(m *corev1.ConfigMap) { m.Data["a"], m.UID = "edited", "u2" }},
		"another version may hold":                {want: true, change: func(m *corev1.ConfigMap) { m.ResourceVersion = "8" }},
		"one of a Microservice that is gone is":   {gone: true, change: func(m *corev1.ConfigMap) { m.Data["a"] = "edited" }},
	} {
		t.Run(name, func(t *testing.T) {
			r, m, live := &Reconciler{}, wanted("1"), &corev1.ConfigMap{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object().Object, live); err != nil {
				t.Fatal(err)
			}
			live.UID, live.ResourceVersion = "u1", "7"
			owner := ownership.Owner{Microservice: types.NamespacedName{Namespace: "home", Name: "scores"}, Environment: "staging"}
			pass := func(m manifest.Manifest) bool {
				s := &station{place: environment.Place{Owner: owner}, proven: held{}}
				s.facts.Live = map[environment.ObjectKey]client.Object{environment.KeyOf(m): live}
				holds, err := r.holds(s, m)
				if err != nil {
					t.Fatal(err)
				}
				r.proofs.keep(owner, s.proven)
				return holds
			}
			if !pass(m) {
				t.Fatal("what was written does not hold")
			}
			if tc.gone {
				r.proofs.forget(owner.Microservice)
			}
			tc.change(live)
			if got := pass(m); got != tc.want {
				t.Errorf("holds: %t, want %t", got, tc.want)
			}
			if pass(wanted("2")) {
				t.Error("something else is wanted, and what is there is said to hold it")
			}
		})
	}
}

func TestNothingIsProvenOfWhatIsNotThere(t *testing.T) {
	m, err := manifest.New(corev1ac.ConfigMap("scores", "ns"))
	if err != nil {
		t.Fatal(err)
	}
	s := &station{proven: held{}, facts: environment.Facts{Live: map[environment.ObjectKey]client.Object{}}}
	if holds, err := (&Reconciler{}).holds(s, m); err != nil || holds || len(s.proven) > 0 {
		t.Errorf("holds: %t, %v; proven: %v", holds, err, s.proven)
	}
}
