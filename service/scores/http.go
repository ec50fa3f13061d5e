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

// Routes are the operations on scores.
func Routes(s Service) []httpapi.Route {
	return []httpapi.Route{listScores(s), createScore(s), getScore(s), updateScore(s), deleteScore(s)}
}

// group is the heading of these routes in the API's document.
const group = "Scores"

func listScores(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath, Access: httpapi.Anyone,
		Name: "listScores", Group: group, Summary: "List scores",
		Description: "The caller's own scores and everybody's public ones; an admin's list holds all.",
		Params:      listParams{}, Status: http.StatusOK, Response: httpapi.ListEnvelope[Score]{},
		Handler: httpapi.Handle(decodeList,
			func(ctx context.Context, q ListQuery) (listed, error) {
				page, err := s.List(ctx, auth.FromContext(ctx), q)
				return listed{page: page, query: q}, err
			},
			func(l listed) httpapi.Response {
				return httpapi.List(l.page.Scores, httpapi.Paginate(l.query.Page, l.query.Limit, l.page.Total))
			}),
	}
}

func createScore(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: basePath, Access: httpapi.Callers,
		Name: "createScore", Group: group, Summary: "Add a score that belongs to the caller",
		Request: Change{}, Status: http.StatusCreated, Response: httpapi.Envelope[Score]{}, Versioned: true,
		Handler: httpapi.Handle(httpapi.DecodeJSON[Change],
			func(ctx context.Context, c Change) (Score, error) { return s.Create(ctx, auth.FromContext(ctx), c) },
			func(created Score) httpapi.Response {
				return httpapi.Created(basePath+"/"+created.ID, created).WithVersion(created.Version)
			}),
	}
}

func getScore(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath + "/{id}", Access: httpapi.Anyone,
		Name: "getScore", Group: group, Summary: "Read a score",
		Params: idParams{}, Status: http.StatusOK, Response: httpapi.Envelope[Score]{}, Versioned: true,
		Faults: []fault.Code{fault.NotFound},
		Handler: httpapi.Handle(decodeID,
			func(ctx context.Context, id string) (Score, error) { return s.Get(ctx, auth.FromContext(ctx), id) },
			func(found Score) httpapi.Response { return httpapi.OK(found).WithVersion(found.Version) }),
	}
}

func updateScore(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPut, Path: basePath + "/{id}", Access: httpapi.Callers,
		Name: "updateScore", Group: group, Summary: "Change the fields that are given and keep the others",
		Description: "A field that is null is cleared; title, status and visibility cannot be.",
		Params:      idParams{}, Request: Change{},
		Status: http.StatusOK, Response: httpapi.Envelope[Score]{}, Versioned: true,
		Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
		Handler: httpapi.Handle(decodeUpdate,
			func(ctx context.Context, u update) (Score, error) {
				return s.Update(ctx, auth.FromContext(ctx), u.id, u.ifVersion, u.change)
			},
			func(updated Score) httpapi.Response {
				return httpapi.OKMessage(updated, "Score updated successfully").WithVersion(updated.Version)
			}),
	}
}

func deleteScore(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodDelete, Path: basePath + "/{id}", Access: httpapi.Callers,
		Name: "deleteScore", Group: group, Summary: "Remove a score",
		Params: idParams{}, Status: http.StatusNoContent, Versioned: true,
		Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
		Handler: httpapi.Handle(decodeTarget,
			func(ctx context.Context, t target) (struct{}, error) {
				return struct{}{}, s.Delete(ctx, auth.FromContext(ctx), t.id, t.ifVersion)
			},
			func(struct{}) httpapi.Response { return httpapi.NoContent() }),
	}
}

// idParams describe the parameters of a route to one score.
type idParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

// listParams describe the parameters that decodeList reads.
type listParams struct {
	httpapi.PageParams
	Sort       string `query:"sort" enum:"createdAt,updatedAt,title,composer,difficultyLevel" description:"The newest come first if left out. Scores that lack the value come last."`
	Order      string `query:"order" enum:"asc,desc" description:"Ascending if left out while sort is given."`
	Owner      string `query:"owner" minLength:"1" maxLength:"128" description:"The ID of an owner, or me."`
	Status     string `query:"status" enum:"active,inactive,archived"`
	Visibility string `query:"visibility" enum:"private,unlisted,public"`
	Composer   string `query:"composer" minLength:"1" maxLength:"255" description:"The whole name, in any case."`
	Instrument string `query:"instrument" enum:"piano,guitar,both" description:"Piano and guitar also find what is for both."`
	Difficulty string `query:"difficulty" enum:"beginner,intermediate,advanced"`
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
