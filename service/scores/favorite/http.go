package favorite

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

const (
	// basePath is where favorites live.
	basePath = "/api/favorites"
	// group is the heading of these routes in the API's document.
	group = "Favorites"
)

// Routes are the operations on favorites.
func Routes(s Service) []httpapi.Route {
	return []httpapi.Route{
		list(s),
		put(http.MethodPut, "addFavorite", "Make a score one of the caller's favorites", s.Add),
		put(http.MethodDelete, "removeFavorite", "Make a score no favorite of the caller's", s.Remove),
		check(s),
	}
}

// listed is a page and where it is in its list.
type listed struct {
	found       scores.Page
	page, limit int
}

func list(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath, Access: httpapi.Callers,
		Name: "listFavorites", Group: group, Summary: "List the caller's favorites, the latest first",
		Params: httpapi.PageParams{}, Status: http.StatusOK, Response: httpapi.ListEnvelope[scores.Card]{},
		Handler: httpapi.Handle(
			func(r *http.Request) (listed, error) {
				q := httpapi.ReadQuery(r)
				var l listed
				l.page, l.limit = q.Page()
				return l, q.Err()
			},
			func(ctx context.Context, l listed) (_ listed, err error) {
				l.found, err = s.List(ctx, auth.FromContext(ctx), l.page, l.limit)
				return l, err
			},
			func(l listed) httpapi.Response {
				return httpapi.List(l.found.Cards, httpapi.Paginate(l.page, l.limit, l.found.Total))
			}),
	}
}

// scoreParams describe the parameter of a route to one favorite.
type scoreParams struct {
	ScoreID string `path:"scoreId" format:"uuid" required:"true"`
}

// put is a route that sets whether a score is a favorite.
func put(method, name, summary string, act func(context.Context, auth.Identity, string) error) httpapi.Route {
	route := httpapi.Route{
		Method: method, Path: basePath + "/{scoreId}", Access: httpapi.Callers,
		Name: name, Group: group, Summary: summary,
		Params: scoreParams{}, Status: http.StatusNoContent,
		Handler: httpapi.Handle(
			func(r *http.Request) (string, error) { return httpapi.PathUUID(r, "scoreId") },
			func(ctx context.Context, id string) (struct{}, error) {
				return struct{}{}, act(ctx, auth.FromContext(ctx), id)
			},
			func(struct{}) httpapi.Response { return httpapi.NoContent() }),
	}
	if method == http.MethodPut {
		route.Faults = []fault.Code{fault.NotFound}
	}
	return route
}

// IDs is the body of a request that asks about scores.
type IDs struct {
	// IDs are 1 to scores.MaxBatch.
	IDs []string `json:"ids" required:"true" minItems:"1" maxItems:"100"`
}

func check(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: basePath + "/check", Access: httpapi.Callers,
		Name: "checkFavorites", Group: group, Summary: "Ask which of up to 100 scores are the caller's favorites",
		Request: IDs{}, Status: http.StatusOK, Response: httpapi.Envelope[map[string]bool]{},
		Handler: httpapi.Handle(
			func(r *http.Request) (IDs, error) {
				body, err := httpapi.DecodeJSON[IDs](r)
				if err != nil {
					return body, err
				}
				return body, scores.NormalIDs("ids", body.IDs)
			},
			func(ctx context.Context, body IDs) (map[string]bool, error) {
				return s.Check(ctx, auth.FromContext(ctx), body.IDs)
			},
			httpapi.OK[map[string]bool]),
	}
}
