package microservice

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// TestReleasesToGoBackToAreKept has an environment verify a release from time to time, while many more are cut.
func TestReleasesToGoBackToAreKept(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	releases := make([]v1alpha1.Release, 15)
	for i := range releases {
		releases[i].Name, releases[i].Spec.Number = fmt.Sprintf("scores-%d", i+1), int64(i+1)
	}
	// verified says which numbers an environment has verified, in this order.
	for name, tc := range map[string]struct {
		verified  []int
		back, old []string
	}{
		"none yet":               {nil, nil, []string{"scores-5", "scores-4", "scores-3", "scores-2", "scores-1"}},
		"one":                    {[]int{1}, []string{"scores-1"}, []string{"scores-5", "scores-4", "scores-3", "scores-2"}},
		"the next after many":    {[]int{1, 15}, []string{"scores-15", "scores-1"}, []string{"scores-5", "scores-4", "scores-3", "scores-2"}},
		"back to an early one":   {[]int{2, 14, 2}, []string{"scores-2", "scores-14"}, []string{"scores-5", "scores-4", "scores-3", "scores-1"}},
		"long before the others": {[]int{1, 2, 3}, []string{"scores-3", "scores-2"}, []string{"scores-5", "scores-4", "scores-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := make([]v1alpha1.Release, len(releases))
			for i := range releases {
				all[i] = *releases[i].DeepCopy()
			}
			for i, number := range tc.verified {
				at := metav1.NewTime(start.Add(time.Duration(i) * time.Minute))
				all[number-1].Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{{Name: "production", VerifiedAt: &at}}
			}
			back := goesBackTo(all, "production")
			if diff := cmp.Diff(tc.back, back); diff != "" {
				t.Errorf("goes back to (-want +got):\n%s", diff)
			}
			inUse := map[string]bool{}
			for _, name := range back {
				inUse[name] = true
			}
			var old []string
			for _, release := range surplus(all, inUse) {
				old = append(old, release.GetName())
			}
			if diff := cmp.Diff(tc.old, old); diff != "" {
				t.Errorf("surplus (-want +got):\n%s", diff)
			}
		})
	}
}
