package incluster

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/plugin/dashboard/board"
)

// answering allows some questions, written as verb, resource, namespace and name, and remembers what it was asked.
type answers struct {
	allowed map[question]bool
	mu      sync.Mutex
	asked   int
}

func allowing(all ...[]question) *answers {
	out := &answers{allowed: map[question]bool{}}
	for _, some := range all {
		for _, q := range some {
			out.allowed[q] = true
		}
	}
	return out
}

func (a *answers) ask(q question) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return a.allowed[q], nil
}

func verbs(resource, namespace, name string, verbs ...string) []question {
	var out []question
	for _, verb := range verbs {
		out = append(out, question{verb, resource, namespace, name})
	}
	return out
}

func following(resource, namespace string) []question {
	return verbs(resource, namespace, "", "list", "watch")
}

func TestSightOfAll(t *testing.T) {
	namespaces := []string{"art", "music", "science"}
	for name, tc := range map[string]struct {
		answers *answers
		want    sight
		// asked is how many questions that takes.
		asked int
	}{
		"nothing":                       {allowing(), sight{}, 4},
		"everything":                    {allowing(following(microservices, ""), following(releases, "")), sight{"art": true, "music": true, "science": true}, 4},
		"everything but history":        {allowing(following(microservices, "")), sight{"art": false, "music": false, "science": false}, 6},
		"everything, history of one":    {allowing(following(microservices, ""), following(releases, "art")), sight{"art": true, "music": false, "science": false}, 7},
		"one namespace":                 {allowing(following(microservices, "music"), following(releases, "music")), sight{"music": true}, 7},
		"one namespace without history": {allowing(following(microservices, "music")), sight{"music": false}, 6},
		"history alone":                 {allowing(following(releases, ""), following(releases, "music")), sight{}, 4},
		"a list that must not be watched": {
			allowing(verbs(microservices, "music", "", "list"), verbs(microservices, "", "", "list"), following(releases, "music")), sight{}, 6,
		},
		"what may only be got":              {allowing(verbs(microservices, "music", "", "get", "watch"), verbs(microservices, "music", "scores", "get", "watch")), sight{}, 4},
		"a history that must not be listed": {allowing(following(microservices, "music"), verbs(releases, "music", "", "watch", "get")), sight{"music": false}, 6},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ofAll(tc.answers.ask, namespaces)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if tc.answers.asked != tc.asked {
				t.Errorf("%d questions, want %d", tc.answers.asked, tc.asked)
			}
		})
	}
}

func TestSightOfOne(t *testing.T) {
	for name, tc := range map[string]struct {
		answers *answers
		want    sight
	}{
		"nothing":                           {allowing(), sight{}},
		"its namespace":                     {allowing(following(microservices, "music"), following(releases, "music")), sight{"music": true}},
		"its namespace without history":     {allowing(following(microservices, "music")), sight{"music": false}},
		"it alone":                          {allowing(verbs(microservices, "music", "scores", "get", "watch")), sight{"music": false}},
		"it alone, and history":             {allowing(verbs(microservices, "music", "scores", "get", "watch"), following(releases, "music")), sight{"music": true}},
		"it, but not as it changes":         {allowing(verbs(microservices, "music", "scores", "get")), sight{}},
		"another one":                       {allowing(verbs(microservices, "music", "catalogue", "get", "watch"), following(releases, "music")), sight{}},
		"another namespace":                 {allowing(following(microservices, "art"), following(releases, "art")), sight{}},
		"history alone":                     {allowing(following(releases, "music")), sight{}},
		"a list that must not be watched":   {allowing(verbs(microservices, "music", "", "list")), sight{}},
		"a history that must not be listed": {allowing(following(microservices, "music"), verbs(releases, "music", "", "get", "watch")), sight{"music": false}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ofOne(tc.answers.ask, "music", "scores")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestWithoutAnAnswerNothingIsSeen fails at each question in turn.
func TestWithoutAnAnswerNothingIsSeen(t *testing.T) {
	away := errors.New("away")
	for failing := 1; ; failing++ {
		var mu sync.Mutex
		asked := 0
		ask := func(question) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			if asked++; asked == failing {
				return true, away
			}
			return true, nil
		}
		_, ofEach := ofAll(ask, []string{"art"})
		if asked < failing {
			break
		}
		asked = 0
		_, ofIt := ofOne(ask, "music", "scores")
		if !errors.Is(ofEach, away) || !errors.Is(ofIt, away) {
			t.Errorf("question %d without an answer: %v, %v", failing, ofEach, ofIt)
		}
	}
}

func TestSightIsByKind(t *testing.T) {
	s := sight{"music": false, "art": true}
	for _, tc := range []struct {
		kind      board.Kind
		namespace string
		want      bool
	}{
		{board.Microservices, "music", true},
		{board.Releases, "music", false},
		{board.Microservices, "art", true},
		{board.Releases, "art", true},
		{board.Microservices, "science", false},
		{board.Releases, "science", false},
	} {
		if got := s.sees(tc.kind, tc.namespace); got != tc.want {
			t.Errorf("%s in %s: %t", tc.kind, tc.namespace, got)
		}
	}
}

func TestCommandsThatAskTheSame(t *testing.T) {
	for want, q := range map[string]question{
		"kubectl auth can-i list microservices.platform.mirubato.com --all-namespaces":        {Verb: "list", Resource: microservices},
		"kubectl auth can-i list releases.platform.mirubato.com --namespace music":            {Verb: "list", Resource: releases, Namespace: "music"},
		"kubectl auth can-i get microservices.platform.mirubato.com/scores --namespace music": {Verb: "get", Resource: microservices, Namespace: "music", Name: "scores"},
	} {
		if got := q.command(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
