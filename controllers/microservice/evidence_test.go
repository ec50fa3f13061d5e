package microservice

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/release"
)

func TestReadingsThatAreKept(t *testing.T) {
	t.Parallel()
	pass := func(requests int64) v1alpha1.AnalysisSample {
		return v1alpha1.AnalysisSample{Weight: 20, Verdict: v1alpha1.VerdictPass, CanaryRequests: requests}
	}
	for name, tc := range map[string]struct {
		kept    []v1alpha1.AnalysisSample
		reading v1alpha1.AnalysisSample
		moved   bool
		want    bool
	}{
		"the first":                             {nil, pass(0), false, true},
		"the same with few requests more":       {[]v1alpha1.AnalysisSample{pass(100)}, pass(199), false, false},
		"twice the requests":                    {[]v1alpha1.AnalysisSample{pass(100)}, pass(200), false, true},
		"no request, and none before":           {[]v1alpha1.AnalysisSample{pass(0)}, pass(0), false, false},
		"another verdict":                       {[]v1alpha1.AnalysisSample{pass(100)}, v1alpha1.AnalysisSample{Weight: 20, Verdict: v1alpha1.VerdictFail}, false, true},
		"another weight":                        {[]v1alpha1.AnalysisSample{pass(100)}, v1alpha1.AnalysisSample{Weight: 50, Verdict: v1alpha1.VerdictPass}, false, true},
		"nothing new, but a step ends with it":  {[]v1alpha1.AnalysisSample{pass(100)}, pass(101), true, true},
		"fewer after the operator was replaced": {[]v1alpha1.AnalysisSample{pass(100)}, pass(3), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &station{reading: &tc.reading}
			s.input.Record.Analysis, s.plan.Record.Analysis = tc.kept, tc.kept
			if tc.moved {
				s.plan.Record.Since = &metav1.Time{Time: time.Unix(1000, 0)}
			}
			s.keepReading()
			if got := len(s.plan.Record.Analysis) > len(tc.kept); got != tc.want {
				t.Errorf("kept: %t, want %t", got, tc.want)
			}
		})
	}

	t.Run("the last ones only", func(t *testing.T) {
		t.Parallel()
		s := &station{}
		for i := range 2 * maxSamples {
			s.input.Record, s.plan = s.plan.Record, release.Plan{Record: s.plan.Record}
			s.reading = &v1alpha1.AnalysisSample{Weight: int32(i), Verdict: v1alpha1.VerdictPass}
			s.keepReading()
		}
		if n := len(s.plan.Record.Analysis); n != maxSamples || s.plan.Record.Analysis[n-1].Weight != 2*maxSamples-1 {
			t.Errorf("%d are kept", n)
		}
	})
}
