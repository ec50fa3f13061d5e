package collection

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

const (
	// basePath is where collections live, and one where each does.
	basePath = "/api/collections"
	one      = basePath + "/{id}"
	// group is the heading of these routes in the API's document.
	group = "Collections"
)

// Routes are the operations on collections.
func Routes(s Service) []httpapi.Route {
	return append([]httpapi.Route{list(s), featured(s), create(s), get(s), update(s), remove(s)}, contentRoutes(s)...)
}

// listed is a page of T and where it is in its list.
type listed[T any] struct {
	page, limit int
	// subject is what the list is about.
	subject string
	items   []T
	total   int64
}

func respondList[T any](l listed[T]) httpapi.Response {
	return httpapi.List(l.items, httpapi.Paginate(l.page, l.limit, l.total))
}

// listParams describe the parameters of the list.
type listParams struct {
	httpapi.PageParams
	Owner string `query:"owner" minLength:"1" maxLength:"128" description:"The ID of an owner, or me."`
}

func list(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath, Access: httpapi.Anyone,
		Name: "listCollections", Group: group, Summary: "List collections, the newest first",
		Description: "Those that are the caller's own, shared with the caller, or public; an admin's list holds all.",
		Params:      listParams{}, Status: http.StatusOK, Response: httpapi.ListEnvelope[Collection]{},
		Sharing: httpapi.AmongAnonymous,
		Handler: httpapi.Handle(decodeList,
			func(ctx context.Context, l listed[Collection]) (listed[Collection], error) {
				page, err := s.List(ctx, auth.FromContext(ctx), l.subject, l.page, l.limit)
				l.items, l.total = page.Collections, page.Total
				return l, err
			},
			func(l listed[Collection]) httpapi.Response { return respondList(l).Shared() }),
	}
}

func decodeList(r *http.Request) (listed[Collection], error) {
	q := httpapi.ReadQuery(r)
	var l listed[Collection]
	l.page, l.limit = q.Page()
	l.subject = q.Text("owner", auth.MaxSubject)
	if err := q.Err(); err != nil || l.subject != scores.Me {
		return l, err
	}
	caller := auth.FromContext(r.Context())
	if caller.IsAnonymous() {
		return l, fault.New(fault.Unauthenticated, "Listing your own collections needs an access token")
	}
	l.subject = caller.ID
	return l, nil
}

// featuredParams describe the parameter of the featured collections.
type featuredParams struct {
	Limit int `query:"limit" minimum:"1" maximum:"50" default:"10"`
}

func featured(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath + "/featured", Access: httpapi.Anyone,
		Name: "featuredCollections", Group: group, Summary: "Show the featured collections that are public",
		Params: featuredParams{}, Status: http.StatusOK, Response: httpapi.Envelope[[]Collection]{}, Sharing: httpapi.AmongAll,
		Handler: httpapi.Handle(
			func(r *http.Request) (int, error) {
				q := httpapi.ReadQuery(r)
				limit := q.Int("limit", scores.DefaultShortList, 1, scores.MaxShortList)
				return limit, q.Err()
			},
			s.Featured,
			func(found []Collection) httpapi.Response {
				if found == nil {
					found = []Collection{}
				}
				return httpapi.OK(found).Shared()
			}),
	}
}

func create(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: basePath, Access: httpapi.Callers,
		Name: "createCollection", Group: group, Summary: "Add a collection that belongs to the caller",
		Request: New{}, Status: http.StatusCreated, Response: httpapi.Envelope[Collection]{}, Versioned: true,
		Faults: []fault.Code{fault.Conflict},
		Handler: httpapi.Handle(httpapi.DecodeJSON[New],
			func(ctx context.Context, n New) (Collection, error) { return s.Create(ctx, auth.FromContext(ctx), n) },
			func(c Collection) httpapi.Response {
				return httpapi.Created(basePath+"/"+c.ID, c).WithVersion(c.Version)
			}),
	}
}

// idParams describe the parameter of a route to one collection.
type idParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

func decodeID(r *http.Request) (string, error) { return httpapi.PathUUID(r, "id") }

func get(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: one, Access: httpapi.Anyone,
		Name: "getCollection", Group: group, Summary: "Read a collection",
		Params: idParams{}, Status: http.StatusOK, Response: httpapi.Envelope[Collection]{}, Versioned: true,
		Faults: []fault.Code{fault.NotFound}, Sharing: httpapi.AmongAll,
		Handler: httpapi.Handle(decodeID,
			func(ctx context.Context, id string) (Collection, error) { return s.Get(ctx, auth.FromContext(ctx), id) },
			respondOne),
	}
}

// respondOne answers with a collection. Whoever asks for a public one gets the same.
func respondOne(c Collection) httpapi.Response {
	res := httpapi.OK(c).WithVersion(c.Version)
	if c.Visibility == scores.Public {
		res = res.Shared()
	}
	return res
}

// target is a collection at a version, and what is wanted of it.
type target struct {
	id        string
	ifVersion int64
	change    Change
}

func decodeTarget(r *http.Request) (t target, err error) {
	if t.id, err = decodeID(r); err == nil {
		t.ifVersion, err = httpapi.IfMatch(r)
	}
	return t, err
}

func update(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPut, Path: one, Access: httpapi.Callers,
		Name: "updateCollection", Group: group, Summary: "Change the fields that are given and keep the others",
		Params: idParams{}, Request: Change{},
		Status: http.StatusOK, Response: httpapi.Envelope[Collection]{}, Versioned: true,
		Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
		Handler: httpapi.Handle(
			func(r *http.Request) (target, error) {
				t, err := decodeTarget(r)
				if err != nil {
					return t, err
				}
				t.change, err = httpapi.DecodeJSON[Change](r)
				return t, err
			},
			func(ctx context.Context, t target) (Collection, error) {
				return s.Update(ctx, auth.FromContext(ctx), t.id, t.ifVersion, t.change)
			},
			func(c Collection) httpapi.Response {
				return httpapi.OKMessage(c, "Collection updated successfully").WithVersion(c.Version)
			}),
	}
}

func remove(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodDelete, Path: one, Access: httpapi.Callers,
		Name: "deleteCollection", Group: group, Summary: "Remove a collection, not its scores",
		Params: idParams{}, Status: http.StatusNoContent, Versioned: true,
		Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
		Handler: httpapi.Handle(decodeTarget,
			func(ctx context.Context, t target) (struct{}, error) {
				return struct{}{}, s.Delete(ctx, auth.FromContext(ctx), t.id, t.ifVersion)
			},
			func(struct{}) httpapi.Response { return httpapi.NoContent() }),
	}
}
