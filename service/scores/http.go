package scores

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// basePath is where scores live.
const basePath = "/api/scores"

// Guard finds out who is calling. Required answers 401 to callers without a valid token, Optional only to those with an invalid
// one.
type Guard interface {
	Required(http.Handler) http.Handler
	Optional(http.Handler) http.Handler
}

// Register adds the resource to a router.
func Register(router *httpapi.Router, s Service, guard Guard) {
	router.Handle("GET "+basePath, guard.Optional(httpapi.Handle(decodeList,
		func(ctx context.Context, q ListQuery) (listed, error) {
			page, err := s.List(ctx, auth.FromContext(ctx), q)
			return listed{page: page, query: q}, err
		},
		func(l listed) httpapi.Response {
			return httpapi.List(l.page.Scores, httpapi.Paginate(l.query.Page, l.query.Limit, l.page.Total))
		})))
	router.Handle("POST "+basePath, guard.Required(httpapi.Handle(httpapi.DecodeJSON[Change],
		func(ctx context.Context, c Change) (Score, error) { return s.Create(ctx, auth.FromContext(ctx), c) },
		func(created Score) httpapi.Response {
			return httpapi.Created(basePath+"/"+created.ID, created).WithVersion(created.Version)
		})))
	router.Handle("GET "+basePath+"/{id}", guard.Optional(httpapi.Handle(decodeID,
		func(ctx context.Context, id string) (Score, error) { return s.Get(ctx, auth.FromContext(ctx), id) },
		func(found Score) httpapi.Response { return httpapi.OK(found).WithVersion(found.Version) })))
	router.Handle("PUT "+basePath+"/{id}", guard.Required(httpapi.Handle(decodeUpdate,
		func(ctx context.Context, u update) (Score, error) {
			return s.Update(ctx, auth.FromContext(ctx), u.id, u.ifVersion, u.change)
		},
		func(updated Score) httpapi.Response {
			return httpapi.OKMessage(updated, "Score updated successfully").WithVersion(updated.Version)
		})))
	router.Handle("DELETE "+basePath+"/{id}", guard.Required(httpapi.Handle(decodeTarget,
		func(ctx context.Context, t target) (struct{}, error) {
			return struct{}{}, s.Delete(ctx, auth.FromContext(ctx), t.id, t.ifVersion)
		},
		func(struct{}) httpapi.Response { return httpapi.NoContent() })))
}

// listed is a page with the query that it answers.
type listed struct {
	page  Page
	query ListQuery
}

// target is a score at a version; version 0 is any.
type target struct {
	id        string
	ifVersion int64
}

// update is a change of a target.
type update struct {
	target
	change Change
}

// me is what a caller writes instead of its own ID.
const me = "me"

func decodeList(r *http.Request) (ListQuery, error) {
	q := httpapi.ReadQuery(r)
	var l ListQuery
	l.Page, l.Limit = q.Page()
	sort := q.OneOf("sort", "", string(ByCreatedAt), string(ByUpdatedAt), string(ByTitle), string(ByComposer),
		string(ByDifficultyLevel))
	order := q.OneOf("order", "", "asc", "desc")
	l.Sort, l.Descending = Sort(sort), order == "desc"
	if sort == "" {
		// Without a wish the newest come first.
		l.Sort, l.Descending = ByCreatedAt, order != "asc"
	}
	l.OwnerID = q.Text("owner", auth.MaxSubject)
	l.Status = Status(q.OneOf("status", "", string(Active), string(Inactive), string(Archived)))
	l.Visibility = Visibility(q.OneOf("visibility", "", string(Private), string(Unlisted), string(Public)))
	l.Composer = q.Text("composer", 255)
	l.Instrument = Instrument(q.OneOf("instrument", "", string(Piano), string(Guitar), string(Both)))
	l.Difficulty = Difficulty(q.OneOf("difficulty", "", string(Beginner), string(Intermediate), string(Advanced)))
	if err := q.Err(); err != nil {
		return ListQuery{}, err
	}
	if l.OwnerID != me {
		return l, nil
	}
	caller := auth.FromContext(r.Context())
	if caller.IsAnonymous() {
		return ListQuery{}, fault.New(fault.Unauthenticated, "Listing your own scores needs an access token")
	}
	l.OwnerID = caller.ID
	return l, nil
}

func decodeID(r *http.Request) (string, error) {
	const length = 36 // uuid.Parse takes other spellings as well
	text := r.PathValue("id")
	id, err := uuid.Parse(text)
	if err != nil || len(text) != length {
		return "", fault.InvalidInput("Invalid route parameters",
			fault.Detail{Field: "id", Code: "uuid", Message: "must be a UUID"})
	}
	return id.String(), nil
}

func decodeTarget(r *http.Request) (target, error) {
	id, err := decodeID(r)
	if err != nil {
		return target{}, err
	}
	version, err := httpapi.IfMatch(r)
	return target{id: id, ifVersion: version}, err
}

func decodeUpdate(r *http.Request) (update, error) {
	t, err := decodeTarget(r)
	if err != nil {
		return update{}, err
	}
	c, err := httpapi.DecodeJSON[Change](r)
	return update{target: t, change: c}, err
}
