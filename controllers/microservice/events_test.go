package microservice

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestNote(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ message, want string }{
		"a short one":                  {"production is verified", "production is verified"},
		"just short enough":            {strings.Repeat("a", 1024), strings.Repeat("a", 1024)},
		"too long":                     {strings.Repeat("a", 1025), strings.Repeat("a", 1021) + "..."},
		"cut in the middle of a rune":  {strings.Repeat("a", 1020) + "ééé", strings.Repeat("a", 1020) + "..."},
		"no space before what is left": {strings.Repeat("a", 1020) + " bcdef", strings.Repeat("a", 1020) + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := note(tc.message)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got) > maxNote || !utf8.ValidString(got) {
				t.Errorf("%d bytes, valid %v: the API server refuses it", len(got), utf8.ValidString(got))
			}
		})
	}
}

// told keeps what an event is about: what a recorder takes for one event that happens again has all of it in common.
type told struct{ about []corev1.ObjectReference }

func (r *told) Eventf(regarding, _ runtime.Object, _, _, _, _ string, _ ...any) {
	r.about = append(r.about, *regarding.(*corev1.ObjectReference))
}

func TestEventsOfTwoEnvironmentsAreNoSeries(t *testing.T) {
	t.Parallel()
	before := &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: "scores", UID: "1", ResourceVersion: "7"}}
	after := before.DeepCopy()
	after.Status.Environments = []v1alpha1.EnvironmentStatus{
		{Name: "staging", Target: "scores-1", Step: v1alpha1.StepVerified},
		{Name: "production", Target: "scores-1", Step: v1alpha1.StepVerified},
	}
	recorder := &told{}
	(&Reconciler{Events: recorder}).report(before, after)
	about := func(part string) corev1.ObjectReference {
		return corev1.ObjectReference{
			APIVersion: "platform.mirubato.com/v1alpha1", Kind: "Microservice",
			Namespace: "home", Name: "scores", UID: "1", ResourceVersion: "7", FieldPath: part,
		}
	}
	want := []corev1.ObjectReference{about("spec.environments{staging}"), about("spec.environments{production}")}
	if diff := cmp.Diff(want, recorder.about); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
