package collection

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

// contentRoutes are the operations on what is in a collection, with whom it is shared, and whether it is featured.
func contentRoutes(s Service) []httpapi.Route {
	feature := func(featured bool) func(context.Context, auth.Identity, part) error {
		return func(ctx context.Context, caller auth.Identity, p part) error {
			return s.Feature(ctx, caller, p.id, featured)
		}
	}
	add := func(ctx context.Context, caller auth.Identity, p part) error {
		return s.Add(ctx, caller, p.id, p.other)
	}
	take := func(ctx context.Context, caller auth.Identity, p part) error {
		return s.Remove(ctx, caller, p.id, p.other)
	}
	share := func(ctx context.Context, caller auth.Identity, p part) error {
		return s.Share(ctx, caller, p.id, p.other)
	}
	unshare := func(ctx context.Context, caller auth.Identity, p part) error {
		return s.Unshare(ctx, caller, p.id, p.other)
	}
	return []httpapi.Route{
		members(s), shares(s), batch(s),
		set(httpapi.Route{
			Method: http.MethodPut, Path: one + "/scores/{scoreId}", Name: "addCollectionScore", Params: scoreParams{},
			Summary: "Put a score into the collection", Faults: []fault.Code{fault.Conflict},
		}, decodeMember, add),
		set(httpapi.Route{
			Method: http.MethodDelete, Path: one + "/scores/{scoreId}", Name: "removeCollectionScore", Params: scoreParams{},
			Summary: "Take a score out of the collection",
		}, decodeMember, take),
		set(httpapi.Route{
			Method: http.MethodPut, Path: one + "/shares/{userId}", Name: "shareCollection", Params: userParams{},
			Summary:     "Let a user read the collection",
			Description: "For teachers, with collections of their own, and admins.", Faults: []fault.Code{fault.Conflict},
		}, decodeShare, share),
		set(httpapi.Route{
			Method: http.MethodDelete, Path: one + "/shares/{userId}", Name: "unshareCollection", Params: userParams{},
			Summary: "Let a user no longer read the collection",
		}, decodeShare, unshare),
		set(httpapi.Route{
			Method: http.MethodPut, Path: one + "/featured", Name: "featureCollection", Params: idParams{},
			Access: httpapi.Admins, Summary: "Show the collection among the featured ones",
		}, decodePart, feature(true)),
		set(httpapi.Route{
			Method: http.MethodDelete, Path: one + "/featured", Name: "unfeatureCollection", Params: idParams{},
			Access: httpapi.Admins, Summary: "Show the collection no longer among the featured ones",
		}, decodePart, feature(false)),
	}
}

// part is a collection and a score or user in it.
type part struct{ id, other string }

// scoreParams describe the parameters of a route to a score in a collection.
type scoreParams struct {
	idParams
	ScoreID string `path:"scoreId" format:"uuid" required:"true"`
}

// userParams describe the parameters of a route to a user with whom a collection is shared.
type userParams struct {
	idParams
	UserID string `path:"userId" required:"true" minLength:"1" maxLength:"128"`
}

// set completes a route that acts and has nothing to tell. Only callers may use it unless it says otherwise.
func set(
	route httpapi.Route, decode func(*http.Request) (part, error), act func(context.Context, auth.Identity, part) error,
) httpapi.Route {
	route.Group, route.Status = group, http.StatusNoContent
	route.Faults = append(route.Faults, fault.NotFound, fault.Denied)
	if route.Access == 0 {
		route.Access = httpapi.Callers
	}
	route.Handler = httpapi.Handle(decode,
		func(ctx context.Context, p part) (struct{}, error) {
			return struct{}{}, act(ctx, auth.FromContext(ctx), p)
		},
		func(struct{}) httpapi.Response { return httpapi.NoContent() })
	return route
}

func decodePart(r *http.Request) (p part, err error) {
	p.id, err = decodeID(r)
	return p, err
}

func decodeMember(r *http.Request) (part, error) {
	p, err := decodePart(r)
	if err == nil {
		p.other, err = httpapi.PathUUID(r, "scoreId")
	}
	return p, err
}

func decodeShare(r *http.Request) (part, error) {
	p, err := decodePart(r)
	if err != nil {
		return p, err
	}
	p.other = r.PathValue("userId")
	n := utf8.RuneCountInString(p.other)
	if n < 1 || n > auth.MaxSubject || !utf8.ValidString(p.other) || strings.ContainsFunc(p.other, unicode.IsControl) {
		return p, fault.InvalidInput("Invalid route parameters",
			fault.Detail{Field: "userId", Code: "text", Message: "must be the ID of a user"})
	}
	return p, nil
}

// Batch is the body of a request that changes many of a collection's scores.
type Batch struct {
	// Add and Remove are 1 to scores.MaxBatch IDs together.
	Add    []string `json:"add,omitempty" maxItems:"100"`
	Remove []string `json:"remove,omitempty" maxItems:"100"`
}

// batched is a Batch for a collection.
type batched struct {
	id   string
	body Batch
}

func batch(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: one + "/scores:batch", Access: httpapi.Callers,
		Name: "changeCollectionScores", Group: group, Summary: "Put scores into the collection and take others out, up to 100 together",
		Description: "All is done or nothing. IDs of scores that the caller may not read, or that are not there, are passed over.",
		Params:      idParams{}, Request: Batch{}, Status: http.StatusOK, Response: httpapi.Envelope[Batched]{},
		Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
		Handler: httpapi.Handle(decodeBatch,
			func(ctx context.Context, b batched) (Batched, error) {
				return s.Batch(ctx, auth.FromContext(ctx), b.id, b.body.Add, b.body.Remove)
			},
			func(b Batched) httpapi.Response {
				return httpapi.OKMessage(b, fmt.Sprintf("Added %d and removed %d scores", b.Added, b.Removed))
			}),
	}
}

func decodeBatch(r *http.Request) (b batched, err error) {
	if b.id, err = decodeID(r); err != nil {
		return b, err
	}
	if b.body, err = httpapi.DecodeJSON[Batch](r); err != nil {
		return b, err
	}
	if err := scores.NormalIDs("add", b.body.Add); err != nil {
		return b, err
	}
	return b, scores.NormalIDs("remove", b.body.Remove)
}

// memberParams describe the parameters of the list of a collection's scores.
type memberParams struct {
	idParams
	httpapi.PageParams
}

func members(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: one + "/scores", Access: httpapi.Anyone,
		Name: "listCollectionScores", Group: group, Summary: "List the scores in a collection, the latest added first",
		Description: "Those that are public, the caller's own, or unlisted ones of the collection's owner.",
		Params:      memberParams{}, Status: http.StatusOK, Response: httpapi.ListEnvelope[scores.Card]{},
		Faults: []fault.Code{fault.NotFound},
		Handler: httpapi.Handle(
			func(r *http.Request) (listed[scores.Card], error) {
				q := httpapi.ReadQuery(r)
				var l listed[scores.Card]
				l.page, l.limit = q.Page()
				if err := q.Err(); err != nil {
					return l, err
				}
				var err error
				l.subject, err = decodeID(r)
				return l, err
			},
			func(ctx context.Context, l listed[scores.Card]) (listed[scores.Card], error) {
				page, err := s.Members(ctx, auth.FromContext(ctx), l.subject, l.page, l.limit)
				l.items, l.total = page.Cards, page.Total
				return l, err
			},
			respondList[scores.Card]),
	}
}

func shares(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: one + "/shares", Access: httpapi.Callers,
		Name: "listCollectionShares", Group: group, Summary: "Show with whom a collection is shared",
		Description: "For those who may share it.",
		Params:      idParams{}, Status: http.StatusOK, Response: httpapi.Envelope[[]string]{},
		Faults: []fault.Code{fault.NotFound, fault.Denied},
		Handler: httpapi.Handle(decodeID,
			func(ctx context.Context, id string) ([]string, error) {
				return s.Shares(ctx, auth.FromContext(ctx), id)
			},
			func(users []string) httpapi.Response {
				if users == nil {
					users = []string{}
				}
				return httpapi.OK(users)
			}),
	}
}
