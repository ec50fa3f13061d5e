package note

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

const (
	path  = "/api/scores/{id}/notes"
	group = "Notes"
)

// Routes are the operations on the notes of a score. Nobody keeps their answers, on the way or afterwards.
func Routes(s Service) []httpapi.Route {
	return []httpapi.Route{
		{
			Method: http.MethodGet, Path: path, Access: httpapi.Callers,
			Name: "getNotes", Group: group, Summary: "Read the caller's private notes on a score of the caller's",
			Params: idParams{}, Status: http.StatusOK, Response: httpapi.Envelope[Note]{}, Versioned: true,
			Faults: []fault.Code{fault.NotFound, fault.Denied},
			Handler: httpapi.Handle(decodeTarget,
				func(ctx context.Context, t target) (Note, error) { return s.Get(ctx, auth.FromContext(ctx), t.id) },
				func(n Note) httpapi.Response { return respond(n, "") }),
		},
		{
			Method: http.MethodPut, Path: path, Access: httpapi.Callers,
			Name: "setNotes", Group: group, Summary: "Write the caller's private notes on a score of the caller's",
			Description: "They are kept encrypted, and nobody else reads them, admins included.",
			Params:      idParams{}, Request: Fields{}, Sensitive: true,
			Status: http.StatusOK, Response: httpapi.Envelope[Note]{}, Versioned: true,
			Faults: []fault.Code{fault.NotFound, fault.Denied},
			Handler: httpapi.Handle(decodeChange,
				func(ctx context.Context, c change) (Note, error) {
					return s.Put(ctx, auth.FromContext(ctx), c.id, c.ifVersion, c.fields)
				},
				func(n Note) httpapi.Response { return respond(n, "Notes updated successfully") }),
		},
		{
			Method: http.MethodDelete, Path: path, Access: httpapi.Callers,
			Name: "removeNotes", Group: group, Summary: "Remove the caller's private notes on a score of the caller's",
			Params: idParams{}, Status: http.StatusNoContent, Versioned: true,
			Faults: []fault.Code{fault.NotFound, fault.Denied},
			Handler: httpapi.Handle(decodeTarget,
				func(ctx context.Context, t target) (struct{}, error) {
					return struct{}{}, s.Remove(ctx, auth.FromContext(ctx), t.id, t.ifVersion)
				},
				func(struct{}) httpapi.Response { return httpapi.NoContent() }),
		},
	}
}

func respond(n Note, message string) httpapi.Response {
	return httpapi.OKMessage(n, message).WithVersion(n.Version).WithHeader("Cache-Control", "no-store")
}

// idParams describe the parameters of these routes.
type idParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

// target is the notes of a score at a version; version 0 is any.
type target struct {
	id        string
	ifVersion int64
}

// change is what to write.
type change struct {
	target
	fields Fields
}

// decodeTarget heeds If-Match only where something is written.
func decodeTarget(r *http.Request) (t target, err error) {
	if t.id, err = httpapi.PathUUID(r, "id"); err != nil || r.Method == http.MethodGet {
		return t, err
	}
	t.ifVersion, err = httpapi.IfMatch(r)
	return t, err
}

func decodeChange(r *http.Request) (c change, err error) {
	if c.target, err = decodeTarget(r); err != nil {
		return c, err
	}
	c.fields, err = httpapi.DecodeJSON[Fields](r)
	return c, err
}
