package verb_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/verb"
)

var environments = []string{"staging", "production"}

type values = map[string]string

func TestVerbsAreCarriedOutOnceForEachValue(t *testing.T) {
	for name, tc := range map[string]struct {
		annotations, handled values
		want                 []verb.Order
	}{
		"none": {annotations: values{"other": "staging/1"}},
		"abort": {
			annotations: values{v1alpha1.VerbAbort: "staging/1"},
			want:        []verb.Order{{Verb: verb.Abort, Environment: "staging", Value: "staging/1"}},
		},
		"retry": {
			annotations: values{v1alpha1.VerbRetry: "2026-11-23T12:00:00Z"},
			want:        []verb.Order{{Verb: verb.Retry, Value: "2026-11-23T12:00:00Z"}},
		},
		"hold where it is": {
			annotations: values{v1alpha1.VerbHold: "production/1"},
			want:        []verb.Order{{Verb: verb.Hold, Environment: "production", Value: "production/1"}},
		},
		"hold at a release": {
			annotations: values{v1alpha1.VerbHold: "production/scores-3/1"},
			want:        []verb.Order{{Verb: verb.Hold, Environment: "production", Release: "scores-3", Value: "production/scores-3/1"}},
		},
		"resume": {
			annotations: values{v1alpha1.VerbResume: "staging/1"},
			want:        []verb.Order{{Verb: verb.Resume, Environment: "staging", Value: "staging/1"}},
		},
		"forget a cluster": {
			annotations: values{v1alpha1.VerbForget: "west/1"},
			want:        []verb.Order{{Verb: verb.Forget, Cluster: "west", Value: "west/1"}},
		},
		"what stops comes first": {
			annotations: values{v1alpha1.VerbResume: "staging/1", v1alpha1.VerbRetry: "1", v1alpha1.VerbHold: "staging/1", v1alpha1.VerbAbort: "staging/1"},
			want: []verb.Order{
				{Verb: verb.Abort, Environment: "staging", Value: "staging/1"},
				{Verb: verb.Hold, Environment: "staging", Value: "staging/1"},
				{Verb: verb.Retry, Value: "1"},
				{Verb: verb.Resume, Environment: "staging", Value: "staging/1"},
			},
		},
		"handled":                          {annotations: values{v1alpha1.VerbAbort: "staging/1"}, handled: values{"abort": "staging/1"}},
		"another's value is no obstacle":   {annotations: values{v1alpha1.VerbRetry: "1"}, handled: values{"abort": "1"}, want: []verb.Order{{Verb: verb.Retry, Value: "1"}}},
		"another token":                    {annotations: values{v1alpha1.VerbRetry: "2"}, handled: values{"retry": "1"}, want: []verb.Order{{Verb: verb.Retry, Value: "2"}}},
		"the same token elsewhere":         {annotations: values{v1alpha1.VerbAbort: "production/1"}, handled: values{"abort": "staging/1"}, want: []verb.Order{{Verb: verb.Abort, Environment: "production", Value: "production/1"}}},
		"handled, though malformed":        {annotations: values{v1alpha1.VerbAbort: "nowhere"}, handled: values{"abort": "nowhere"}},
		"handled, though empty":            {annotations: values{v1alpha1.VerbAbort: ""}, handled: values{"abort": ""}},
		"handled, and taken away since":    {handled: values{"abort": "staging/1"}},
		"handled, environment gone since":  {annotations: values{v1alpha1.VerbAbort: "test/1"}, handled: values{"abort": "test/1"}},
		"an environment called as a token": {annotations: values{v1alpha1.VerbRetry: "staging"}, want: []verb.Order{{Verb: verb.Retry, Value: "staging"}}},
	} {
		t.Run(name, func(t *testing.T) {
			orders, problems := verb.Parse(tc.annotations, tc.handled, environments, []string{"west"})
			if diff := cmp.Diff(tc.want, orders); diff != "" {
				t.Errorf("orders (-want +got):\n%s", diff)
			}
			if len(problems) > 0 {
				t.Errorf("problems = %+v", problems)
			}
		})
	}
}

func TestAVerbThatCannotBeCarriedOutIsAProblemWithItsFix(t *testing.T) {
	for name, tc := range map[string]struct {
		annotation, value string
		verb              verb.Name
		want              string
	}{
		"empty":                       {v1alpha1.VerbAbort, "", verb.Abort, `the annotation platform.mirubato.com/abort="" has an empty part, or a space; write ENVIRONMENT/TOKEN, with a token that was not used before, such as the time`},
		"no token":                    {v1alpha1.VerbAbort, "staging", verb.Abort, `is not of the form ENVIRONMENT/TOKEN`},
		"an empty token":              {v1alpha1.VerbAbort, "staging/", verb.Abort, `has an empty part`},
		"an empty environment":        {v1alpha1.VerbResume, "/1", verb.Resume, `has an empty part`},
		"a release to abort":          {v1alpha1.VerbAbort, "staging/scores-1/1", verb.Abort, `is not of the form ENVIRONMENT/TOKEN`},
		"a retry of one environment":  {v1alpha1.VerbRetry, "staging/1", verb.Retry, `is not of the form TOKEN`},
		"an empty retry":              {v1alpha1.VerbRetry, "", verb.Retry, `has an empty part`},
		"too much":                    {v1alpha1.VerbHold, "staging/scores-1/1/2", verb.Hold, `is not of the form ENVIRONMENT/TOKEN or ENVIRONMENT/RELEASE/TOKEN`},
		"a space":                     {v1alpha1.VerbHold, "staging / 1", verb.Hold, `or a space`},
		"an environment that is none": {v1alpha1.VerbResume, "test/1", verb.Resume, `names no environment of the spec; it has staging, production`},
		"an environment in capitals":  {v1alpha1.VerbResume, "Staging/1", verb.Resume, `names no environment of the spec`},
	} {
		t.Run(name, func(t *testing.T) {
			// What was handled before does not hide it, and other verbs are carried out all the same.
			annotations := values{tc.annotation: tc.value}
			healthy := v1alpha1.VerbRetry
			if tc.verb == verb.Retry {
				healthy = v1alpha1.VerbAbort
			}
			annotations[healthy] = map[string]string{v1alpha1.VerbRetry: "9", v1alpha1.VerbAbort: "staging/9"}[healthy]
			orders, problems := verb.Parse(annotations, values{string(tc.verb): "staging/0"}, environments, nil)
			if len(orders) != 1 {
				t.Errorf("orders = %+v", orders)
			}
			if len(problems) != 1 || problems[0].Verb != tc.verb || problems[0].Value != tc.value || !strings.Contains(problems[0].Message, tc.want) {
				t.Errorf("problems = %+v, want %q", problems, tc.want)
			}
		})
	}
}
