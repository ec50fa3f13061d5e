package scores

import (
	"context"
	"net/http"
	"strings"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// basePath is where scores live.
const basePath = "/api/scores"

// Routes are the operations on scores.
func Routes(s Service) []httpapi.Route {
	return []httpapi.Route{
		listScores(s), searchScores(s), recentScores(s), popularScores(s),
		createScore(s), getScore(s), updateScore(s), deleteScore(s), updateScores(s), deleteScores(s),
	}
}

// group is the heading of these routes in the API's document.
const group = "Scores"

func createScore(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: basePath, Access: httpapi.Callers,
		Name: "createScore", Group: group, Summary: "Add a score that belongs to the caller",
		Request: Change{}, Rules: Fields{},
		Status: http.StatusCreated, Response: httpapi.Envelope[Score]{}, Versioned: true,
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
		Faults:  []fault.Code{fault.NotFound},
		Sharing: httpapi.AmongAll, Kept: func(r *http.Request) {
			s.Read(auth.FromContext(r.Context()), strings.ToLower(r.PathValue("id")))
		},
		Handler: httpapi.Handle(decodeID,
			func(ctx context.Context, id string) (Score, error) { return s.Get(ctx, auth.FromContext(ctx), id) },
			respondScore),
	}
}

// respondScore answers with a score. Whoever asks for a public one gets the same.
func respondScore(found Score) httpapi.Response {
	res := httpapi.OK(found).WithVersion(found.Version)
	if found.Visibility == Public {
		res = res.Shared()
	}
	return res
}

func updateScore(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPut, Path: basePath + "/{id}", Access: httpapi.Callers,
		Name: "updateScore", Group: group, Summary: "Change the fields that are given and keep the others",
		Description: "A field that is null is cleared; title, status and visibility cannot be.",
		Params:      idParams{}, Request: Change{}, Rules: Fields{}, Partial: true,
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

func decodeID(r *http.Request) (string, error) { return httpapi.PathUUID(r, "id") }

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
