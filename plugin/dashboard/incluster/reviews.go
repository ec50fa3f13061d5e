package incluster

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Audience is what a token is made for that is good for the dashboard and nothing else.
const Audience = "mirubato-dashboard"

const (
	// maxReviews are asked at once; more wait.
	maxReviews = 8
	// maxPeople and maxAnswers are kept at most, of about 1 kB and 200 bytes. Those asked for longest ago go first.
	maxPeople, maxAnswers = 1024, 16384
	// reviewTimeout bounds how long the API server may take for an answer.
	reviewTimeout = 10 * time.Second
	// maxToken is how long a token may be: one that is longer fits into no header.
	maxToken = 8 << 10
)

// errUnknown is the answer to a token that nobody holds, or no longer.
var errUnknown = errors.New("unknown token")

// person is who holds a token.
type person struct {
	user authenticationv1.UserInfo
	// id is of all that rights may depend on, which may be more than the name: tokens of one ServiceAccount differ.
	id string
}

// reviews asks the API server who somebody is and what they may, and believes an answer for some seconds. Tokens are not kept, only
// hashes of them, under a key that this process has made: as the API server's own delegating authenticator does
// (k8s.io/apiserver/pkg/authentication/token/cache).
type reviews struct {
	writer   client.Writer
	believed time.Duration
	key      []byte
	people   *cache.LRUExpireCache // *person by hash of the token; nil for one that is unknown
	answers  *cache.LRUExpireCache // bool by hash of who asks what
	asking   singleflight.Group
	places   chan struct{}
}

func newReviews(writer client.Writer, believed time.Duration) *reviews {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	return &reviews{
		writer: writer, believed: believed, key: key, people: cache.NewLRUExpireCache(maxPeople), answers: cache.NewLRUExpireCache(maxAnswers),
		places: make(chan struct{}, maxReviews),
	}
}

// hash is of what was said, and of what it was about.
func (v *reviews) hash(what string, about []byte) string {
	sum := hmac.New(sha256.New, v.key)
	_, _ = fmt.Fprintf(sum, "%s %d ", what, len(about)) // a hash takes anything
	_, _ = sum.Write(about)
	return string(sum.Sum(nil))
}

// wellFormed is the form of tokens (RFC 6750). Others are known without asking.
var wellFormed = regexp.MustCompile(`^[A-Za-z0-9\-._~+/]+=*$`)

// who tells who holds a token. The error is errUnknown if nobody does, or that of the API server.
func (v *reviews) who(ctx context.Context, token string) (*person, error) {
	if len(token) > maxToken || !wellFormed.MatchString(token) {
		return nil, errUnknown
	}
	key := v.hash("token", []byte(token))
	known, err := remembered(ctx, v, v.people, key, func(ctx context.Context) (*person, error) {
		// First as one that is good for nothing else, then as one for the API server.
		for _, audiences := range [][]string{{Audience}, nil} {
			if found, err := v.review(ctx, token, audiences); found != nil || err != nil {
				return found, err
			}
		}
		return nil, nil
	})
	if err == nil && known == nil {
		err = errUnknown
	}
	return known, err
}

// review is nil where the token is unknown, or for something else.
func (v *reviews) review(ctx context.Context, token string, audiences []string) (*person, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}
	if err := v.writer.Create(ctx, review); err != nil {
		return nil, fmt.Errorf("asking who holds a token: %w", err)
	}
	if !holds(review.Status, audiences) {
		return nil, nil
	}
	user := review.Status.User
	text, err := json.Marshal(user)
	if err != nil {
		return nil, err
	}
	return &person{user: user, id: v.hash("user", text)}, nil
}

// holds tells whether the answer to a review lets somebody in. An API server that tells no audience means its own, which will do.
func holds(status authenticationv1.TokenReviewStatus, audiences []string) bool {
	if !status.Authenticated || status.User.Username == "" {
		return false
	}
	return len(audiences) == 0 || len(status.Audiences) == 0 ||
		slices.ContainsFunc(status.Audiences, func(a string) bool { return slices.Contains(audiences, a) })
}

// of answers questions about somebody.
func (v *reviews) of(ctx context.Context, who *person) asking {
	return func(q question) (bool, error) {
		text, err := json.Marshal(q)
		if err != nil {
			return false, err
		}
		return remembered(ctx, v, v.answers, v.hash(who.id, text), func(ctx context.Context) (bool, error) {
			review := accessReview(who.user, q)
			if err := v.writer.Create(ctx, review); err != nil {
				return false, fmt.Errorf("asking what %s may see: %w", who.user.Username, err)
			}
			return review.Status.Allowed, nil
		})
	}
}

func accessReview(user authenticationv1.UserInfo, q question) *authorizationv1.SubjectAccessReview {
	out := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: q.Resource, Verb: q.Verb, Namespace: q.Namespace, Name: q.Name,
		},
	}}
	for name, values := range user.Extra {
		if out.Spec.Extra == nil {
			out.Spec.Extra = map[string]authorizationv1.ExtraValue{}
		}
		out.Spec.Extra[name] = authorizationv1.ExtraValue(values)
	}
	return out
}

// remembered is an answer that is believed still, or a new one. It is asked for once, whoever else wants it, and to the end even if the one
// who asked has gone. What could not be answered is not believed.
func remembered[T any](ctx context.Context, v *reviews, in *cache.LRUExpireCache, key string, ask func(context.Context) (T, error)) (T, error) {
	if found, ok := in.Get(key); ok {
		return found.(T), nil
	}
	waiting := v.asking.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
		defer cancel()
		select {
		case v.places <- struct{}{}:
			defer func() { <-v.places }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		out, err := ask(ctx)
		if err == nil {
			in.Add(key, out, v.believed)
		}
		return out, err
	})
	var none T
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case result := <-waiting:
		if result.Err != nil {
			return none, result.Err
		}
		return result.Val.(T), nil
	}
}
