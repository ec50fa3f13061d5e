package incluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cluster stands for the API server: it knows one token for the dashboard and one for itself, and takes a second for each answer.
type cluster struct {
	client.Writer
	mu      sync.Mutex
	tokens  []authenticationv1.TokenReviewSpec
	access  []authorizationv1.SubjectAccessReviewSpec
	now     int
	most    int
	err     error
	allowed bool
}

func (c *cluster) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	time.Sleep(time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	switch review := object.(type) {
	case *authenticationv1.TokenReview:
		c.tokens = append(c.tokens, review.Spec)
		audience := strings.Join(review.Spec.Audiences, " ")
		if known := map[string]string{"own": Audience, "general": ""}; known[review.Spec.Token] == audience && (review.Spec.Token == "own" || review.Spec.Token == "general") {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, Audiences: review.Spec.Audiences, User: authenticationv1.UserInfo{
				Username: review.Spec.Token, UID: "1", Groups: []string{"people"}, Extra: map[string]authenticationv1.ExtraValue{"scopes": {"a", "b"}},
			}}
		}
	case *authorizationv1.SubjectAccessReview:
		c.access = append(c.access, review.Spec)
		review.Status.Allowed = c.allowed
	}
	return c.err
}

func TestAnswersAreBelievedForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{allowed: true}
		v := newReviews(c, 10*time.Second)
		ask := func() (bool, error) {
			who, err := v.who(t.Context(), "own")
			if err != nil {
				return false, err
			}
			return v.of(t.Context(), who)(question{"list", microservices, "music", ""})
		}
		for range 3 {
			if may, err := ask(); !may || err != nil {
				t.Fatalf("%t, %v", may, err)
			}
		}
		if len(c.tokens) != 1 || len(c.access) != 1 {
			t.Errorf("%d and %d reviews for the same question", len(c.tokens), len(c.access))
		}
		want := authorizationv1.SubjectAccessReviewSpec{
			User: "own", UID: "1", Groups: []string{"people"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"a", "b"}},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: "platform.mirubato.com", Version: "v1alpha1", Resource: "microservices", Verb: "list", Namespace: "music"},
		}
		if diff := cmp.Diff(want, c.access[0]); diff != "" {
			t.Errorf("what was asked (-want +got):\n%s", diff)
		}
		c.allowed = false
		time.Sleep(10 * time.Second)
		if may, err := ask(); may || err != nil || len(c.tokens) != 2 || len(c.access) != 2 {
			t.Errorf("after ten seconds: %t, %v, with %d and %d reviews", may, err, len(c.tokens), len(c.access))
		}
		c.err = errors.New("away")
		time.Sleep(10 * time.Second)
		for range 2 {
			if may, err := ask(); may || !errors.Is(err, c.err) {
				t.Errorf("an API server that is away: %t, %v", may, err)
			}
		}
		c.err = nil
		if _, err := ask(); err != nil {
			t.Errorf("a failure is believed: %v", err)
		}
	})
}

func TestTokensAreForTheDashboardOrForTheAPIServer(t *testing.T) {
	for name, tc := range map[string]struct {
		token string
		asked int
		known bool
	}{
		"for the dashboard":   {"own", 1, true},
		"for the API server":  {"general", 2, true},
		"of nobody":           {"garbage", 2, false},
		"none":                {"", 0, false},
		"with a line's end":   {"own\n", 0, false},
		"of two words":        {"own own", 0, false},
		"with other letters":  {"öwn", 0, false},
		"longer than may be":  {strings.Repeat("x", maxToken+1), 0, false},
		"as long as it may":   {strings.Repeat("x", maxToken), 2, false},
		"filled up as base64": {"garbage==", 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cluster{}
				v := newReviews(c, time.Minute)
				for range 2 { // what is unknown is believed as well
					who, err := v.who(t.Context(), tc.token)
					if tc.known != (err == nil && who.user.Username == tc.token) || !tc.known && !errors.Is(err, errUnknown) {
						t.Errorf("%v, %v", who, err)
					}
				}
				if len(c.tokens) != tc.asked {
					t.Errorf("%d reviews, want %d", len(c.tokens), tc.asked)
				}
			})
		})
	}
}

// TestManyAskOnce has a hundred people come at once, each twice.
func TestManyAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		v := newReviews(c, time.Minute)
		var all sync.WaitGroup
		for n := range 32 {
			all.Go(func() {
				if _, err := v.who(t.Context(), fmt.Sprintf("garbage%d", n%16)); !errors.Is(err, errUnknown) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(c.tokens) != 32 || c.most > maxReviews { // two audiences each
			t.Errorf("%d reviews for 16 tokens, %d at once", len(c.tokens), c.most)
		}
	})
}

// TestWhoLeavesDoesNotSpoilTheAnswer: others wait for the same one.
func TestWhoLeavesDoesNotSpoilTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newReviews(&cluster{}, time.Minute)
		ctx, leave := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := v.who(ctx, "own"); !errors.Is(err, context.Canceled) {
				t.Errorf("who has left: %v", err)
			}
		})
		both.Go(func() {
			if _, err := v.who(t.Context(), "own"); err != nil {
				t.Errorf("who has stayed: %v", err)
			}
		})
		synctest.Wait()
		leave()
		both.Wait()
	})
}

func TestNoTokenIsKept(t *testing.T) {
	v := newReviews(&cluster{}, time.Minute)
	if _, err := v.who(t.Context(), "own"); err != nil {
		t.Fatal(err)
	}
	for _, key := range v.people.Keys() {
		if strings.Contains(key.(string), "own") {
			t.Errorf("it is kept by %q", key)
		}
	}
	if other := newReviews(nil, 0); other.hash("token", []byte("own")) == v.hash("token", []byte("own")) {
		t.Error("two processes make the same of a token")
	}
}

func TestReviewsThatLetSomebodyIn(t *testing.T) {
	user := authenticationv1.UserInfo{Username: "alice"}
	own := []string{Audience}
	for name, tc := range map[string]struct {
		status    authenticationv1.TokenReviewStatus
		audiences []string
		want      bool
	}{
		"for the dashboard":               {authenticationv1.TokenReviewStatus{Authenticated: true, User: user, Audiences: own}, own, true},
		"for others as well":              {authenticationv1.TokenReviewStatus{Authenticated: true, User: user, Audiences: []string{"vault", Audience}}, own, true},
		"for others":                      {authenticationv1.TokenReviewStatus{Authenticated: true, User: user, Audiences: []string{"vault"}}, own, false},
		"of somebody without audiences":   {authenticationv1.TokenReviewStatus{Authenticated: true, User: user}, own, true},
		"for the API server":              {authenticationv1.TokenReviewStatus{Authenticated: true, User: user, Audiences: []string{"https://kubernetes.default.svc"}}, nil, true},
		"not authenticated":               {authenticationv1.TokenReviewStatus{User: user, Audiences: own}, own, false},
		"of nobody":                       {authenticationv1.TokenReviewStatus{Authenticated: true, Audiences: own}, own, false},
		"not authenticated, no audiences": {authenticationv1.TokenReviewStatus{Error: "expired"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := holds(tc.status, tc.audiences); got != tc.want {
				t.Errorf("%t", got)
			}
		})
	}
}

func TestPlacesAreFew(t *testing.T) {
	p := newPlaces()
	var back []func()
	for n := range maxPages {
		giveBack, problem := p.take(fmt.Sprint("person", n/maxPagesEach))
		if problem != "" {
			t.Fatalf("page %d: %s", n, problem)
		}
		back = append(back, giveBack)
	}
	if _, problem := p.take("person0"); !strings.Contains(problem, "Close one") {
		t.Errorf("somebody with too many: %q", problem)
	}
	if _, problem := p.take("another"); !strings.Contains(problem, "Too many people") {
		t.Errorf("somebody else: %q", problem)
	}
	for _, giveBack := range back {
		giveBack()
	}
	if p.all != 0 || len(p.of) != 0 {
		t.Errorf("%d places are taken, by %v", p.all, p.of)
	}
}
