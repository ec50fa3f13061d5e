package category

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

const (
	// basePath is where categories live.
	basePath = "/api/categories"
	// ofScore is where those of a score do.
	ofScore = "/api/scores/{id}/categories"
	// group is the heading of these routes in the API's document.
	group = "Categories"
)

// Routes are the operations on categories.
func Routes(s Service) []httpapi.Route {
	return []httpapi.Route{list(s), create(s), update(s), remove(s), ofOne(s), assign(s)}
}

func list(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath, Access: httpapi.Open,
		Name: "listCategories", Group: group, Summary: "Show all categories",
		Description: "Each is followed by those below it, which name it as parentId.",
		Status:      http.StatusOK, Response: httpapi.Envelope[[]Category]{}, Sharing: httpapi.AmongAll,
		Handler: httpapi.Handle(
			func(*http.Request) (struct{}, error) { return struct{}{}, nil },
			func(ctx context.Context, _ struct{}) ([]Category, error) { return s.List(ctx) },
			func(all []Category) httpapi.Response { return respondAll(all).Shared() }),
	}
}

func respondAll(all []Category) httpapi.Response {
	if all == nil {
		all = []Category{}
	}
	return httpapi.OK(all)
}

func create(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: basePath, Access: httpapi.Admins,
		Name: "createCategory", Group: group, Summary: "Add a category",
		Request: Change{}, Status: http.StatusCreated, Response: httpapi.Envelope[Category]{}, Versioned: true,
		Faults: []fault.Code{fault.Conflict},
		Handler: httpapi.Handle(httpapi.DecodeJSON[Change],
			func(ctx context.Context, c Change) (Category, error) { return s.Create(ctx, auth.FromContext(ctx), c) },
			func(c Category) httpapi.Response {
				return httpapi.Created(basePath+"/"+c.ID, c).WithVersion(c.Version)
			}),
	}
}

// idParams describe the parameter of a route to one thing.
type idParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

// target is a thing at a version, and what is wanted of it.
type target[T any] struct {
	id        string
	ifVersion int64
	body      T
}

// decodeTarget reads where to, and by body what is wanted.
func decodeTarget[T any](body func(*http.Request) (T, error)) func(*http.Request) (target[T], error) {
	return func(r *http.Request) (t target[T], err error) {
		if t.id, err = httpapi.PathUUID(r, "id"); err != nil {
			return t, err
		}
		if t.ifVersion, err = httpapi.IfMatch(r); err != nil {
			return t, err
		}
		t.body, err = body(r)
		return t, err
	}
}

func update(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPut, Path: basePath + "/{id}", Access: httpapi.Admins,
		Name: "updateCategory", Group: group, Summary: "Change the fields that are given and keep the others",
		Params: idParams{}, Request: Change{},
		Status: http.StatusOK, Response: httpapi.Envelope[Category]{}, Versioned: true,
		Faults: []fault.Code{fault.NotFound, fault.Conflict},
		Handler: httpapi.Handle(decodeTarget(httpapi.DecodeJSON[Change]),
			func(ctx context.Context, t target[Change]) (Category, error) {
				return s.Update(ctx, auth.FromContext(ctx), t.id, t.ifVersion, t.body)
			},
			func(c Category) httpapi.Response {
				return httpapi.OKMessage(c, "Category updated successfully").WithVersion(c.Version)
			}),
	}
}

// noBody is for requests that have none.
func noBody(*http.Request) (struct{}, error) { return struct{}{}, nil }

func remove(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodDelete, Path: basePath + "/{id}", Access: httpapi.Admins,
		Name: "deleteCategory", Group: group, Summary: "Remove a category that has none below it",
		Description: "The scores in it remain.",
		Params:      idParams{}, Status: http.StatusNoContent, Versioned: true,
		Faults: []fault.Code{fault.NotFound, fault.Conflict},
		Handler: httpapi.Handle(decodeTarget(noBody),
			func(ctx context.Context, t target[struct{}]) (struct{}, error) {
				return struct{}{}, s.Delete(ctx, auth.FromContext(ctx), t.id, t.ifVersion)
			},
			func(struct{}) httpapi.Response { return httpapi.NoContent() }),
	}
}

func ofOne(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: ofScore, Access: httpapi.Anyone,
		Name: "getScoreCategories", Group: group, Summary: "Show the categories of a score",
		Params: idParams{}, Status: http.StatusOK, Response: httpapi.Envelope[[]Category]{},
		Faults: []fault.Code{fault.NotFound},
		Handler: httpapi.Handle(
			func(r *http.Request) (string, error) { return httpapi.PathUUID(r, "id") },
			func(ctx context.Context, id string) ([]Category, error) { return s.Of(ctx, auth.FromContext(ctx), id) },
			respondAll),
	}
}

// Assignment is the body of a request that puts a score into categories.
type Assignment struct {
	// CategoryIDs are at most MaxPerScore.
	CategoryIDs []string `json:"categoryIds" required:"true" maxItems:"20"`
}

func assign(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPut, Path: ofScore, Access: httpapi.Callers,
		Name: "setScoreCategories", Group: group, Summary: "Put a score into these categories and no others",
		Description: "This is a change of the score: If-Match and ETag are its version.",
		Params:      idParams{}, Request: Assignment{},
		Status: http.StatusOK, Response: httpapi.Envelope[[]Category]{}, Versioned: true,
		Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
		Handler: httpapi.Handle(decodeTarget(decodeAssignment),
			func(ctx context.Context, t target[Assignment]) (Assigned, error) {
				return s.Assign(ctx, auth.FromContext(ctx), t.id, t.ifVersion, t.body.CategoryIDs)
			},
			func(a Assigned) httpapi.Response { return respondAll(a.Categories).WithVersion(a.ScoreVersion) }),
	}
}

func decodeAssignment(r *http.Request) (Assignment, error) {
	body, err := httpapi.DecodeJSON[Assignment](r)
	if err != nil {
		return body, err
	}
	if body.CategoryIDs == nil {
		return body, fault.InvalidInput(httpapi.InvalidBody,
			fault.Detail{Field: "categoryIds", Code: "required", Message: "is required"})
	}
	return body, scores.NormalIDs("categoryIds", body.CategoryIDs)
}
