package file

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/scores"
)

const (
	scorePath = "/api/scores/{id}"
	listPath  = scorePath + "/versions"
	itemPath  = listPath + "/{version}"
	group     = "Files"
)

// pathOf is where a version lives.
func pathOf(v Version) string { return "/api/scores/" + v.ScoreID + "/versions/" + v.ID }

// Routes are the operations on the files of scores.
func Routes(f *Files) []httpapi.Route {
	return append(readRoutes(f), addRoute(f), removeRoute(f), linkRoute(f), contentRoute(f), incipitRoute(f))
}

func readRoutes(f *Files) []httpapi.Route {
	return []httpapi.Route{
		{
			Method: http.MethodGet, Path: listPath, Access: httpapi.Anyone,
			Name: "listVersions", Group: group, Summary: "List the files of a score, the newest first",
			Params: scoreParams{}, Status: http.StatusOK, Response: httpapi.Envelope[[]Version]{},
			Faults: []fault.Code{fault.NotFound},
			Handler: httpapi.Handle(decodeScore,
				func(ctx context.Context, id string) ([]Version, error) { return f.List(ctx, auth.FromContext(ctx), id) },
				func(found []Version) httpapi.Response {
					if found == nil {
						found = []Version{}
					}
					return own(httpapi.OK(found))
				}),
		},
		{
			Method: http.MethodGet, Path: itemPath, Access: httpapi.Anyone,
			Name: "getVersion", Group: group, Summary: "See what is known of a file of a score",
			Params: versionParams{}, Status: http.StatusOK, Response: httpapi.Envelope[Version]{},
			Faults: []fault.Code{fault.NotFound},
			Handler: httpapi.Handle(decodeTarget,
				func(ctx context.Context, t target) (Version, error) {
					return f.Get(ctx, auth.FromContext(ctx), t.scoreID, t.id)
				},
				func(v Version) httpapi.Response { return own(httpapi.OK(v)) }),
		},
		{
			Method: http.MethodGet, Path: "/api/files/usage", Access: httpapi.Callers,
			Name: "getFileUsage", Group: group, Summary: "See how much of the caller's quota is used",
			Status: http.StatusOK, Response: httpapi.Envelope[Usage]{},
			Handler: httpapi.Handle(
				func(*http.Request) (struct{}, error) { return struct{}{}, nil },
				func(ctx context.Context, _ struct{}) (Usage, error) { return f.Usage(ctx, auth.FromContext(ctx)) },
				func(u Usage) httpapi.Response { return own(httpapi.OK(u)) }),
		},
	}
}

// own lets nobody but the caller keep the answer, and the caller ask before each use.
func own(r httpapi.Response) httpapi.Response {
	return r.WithHeader("Cache-Control", httpapi.CacheControl{Private: true}.String()).WithHeader("Vary", "Authorization")
}

func removeRoute(f *Files) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodDelete, Path: itemPath, Access: httpapi.Callers,
		Name: "removeVersion", Group: group, Summary: "Remove a file from a score",
		Params: versionParams{}, Status: http.StatusNoContent,
		Faults: []fault.Code{fault.NotFound, fault.Denied},
		Handler: httpapi.Handle(decodeTarget,
			func(ctx context.Context, t target) (struct{}, error) {
				return struct{}{}, f.Remove(ctx, auth.FromContext(ctx), t.scoreID, t.id)
			},
			func(struct{}) httpapi.Response { return httpapi.NoContent() }),
	}
}

func linkRoute(f *Files) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: itemPath + "/links", Access: httpapi.Callers,
		Name: "linkVersion", Group: group, Summary: "Make a link by which a file can be read for a while without a token",
		Description: "The link works for whoever has it, until it expires or the file is removed. It cannot be taken back, so keep its life short.",
		Params:      versionParams{}, Request: LinkFields{}, Sensitive: true,
		Status: http.StatusCreated, Response: httpapi.Envelope[Link]{},
		Faults: []fault.Code{fault.NotFound},
		Handler: httpapi.Handle(decodeLink,
			func(ctx context.Context, w wantedLink) (Link, error) {
				return f.Link(ctx, auth.FromContext(ctx), w.scoreID, w.id, w.fields)
			},
			func(l Link) httpapi.Response {
				return httpapi.Created(l.URL, l).WithHeader("Cache-Control", "no-store")
			}),
	}
}

// bars are the first bars of a score.
type bars struct {
	svg    []byte
	etag   string
	public bool
}

func incipitRoute(f *Files) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: scorePath + "/incipit.svg", Access: httpapi.Anyone,
		Name: "getIncipit", Group: group, Summary: "Show the first bars of a score",
		Description: "They are drawn from the newest file of MusicXML, in the color of the text around them.",
		Params:      scoreParams{}, Status: http.StatusOK, MediaType: "image/svg+xml",
		Faults: []fault.Code{fault.NotFound},
		Handler: httpapi.Handle(decodeScore,
			func(ctx context.Context, id string) (bars, error) {
				svg, sum, s, err := f.Incipit(ctx, auth.FromContext(ctx), id)
				return bars{svg: svg, etag: `"` + sum.String() + `"`, public: s.Visibility == scores.Public}, err
			},
			func(b bars) httpapi.Response {
				res := own(httpapi.Bytes("image/svg+xml", b.svg)).WithETag(b.etag)
				if b.public {
					// The address stays when a newer file shows other bars, so it is asked for again soon.
					res = res.WithHeader("Cache-Control", httpapi.CacheControl{Public: true, MaxAge: incipitLife}.String())
				}
				return res
			}),
	}
}

// scoreParams describe the parameters of a route to the files of a score.
type scoreParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

// versionParams describe the parameters of a route to one file.
type versionParams struct {
	scoreParams
	Version string `path:"version" format:"uuid" required:"true"`
}

// target is one version of a score.
type target struct{ scoreID, id string }

// wantedLink is a link that is asked for.
type wantedLink struct {
	target
	fields LinkFields
}

func decodeScore(r *http.Request) (string, error) { return httpapi.PathUUID(r, "id") }

func decodeTarget(r *http.Request) (t target, err error) {
	if t.scoreID, err = httpapi.PathUUID(r, "id"); err != nil {
		return t, err
	}
	t.id, err = httpapi.PathUUID(r, "version")
	return t, err
}

// decodeLink takes a request without a body for one that says nothing.
func decodeLink(r *http.Request) (w wantedLink, err error) {
	if w.target, err = decodeTarget(r); err != nil || r.ContentLength == 0 {
		return w, err
	}
	w.fields, err = httpapi.DecodeJSON[LinkFields](r)
	return w, err
}

// added is a version that was uploaded, and whether it is new.
type added struct {
	Version
	isNew bool
}

func respondAdded(a added) httpapi.Response {
	if !a.isNew && a.State != jobs.Pending {
		return own(httpapi.OKMessage(a.Version, "The score has this file already"))
	}
	return httpapi.AcceptedFor(jobs.PathOf(jobs.Task{ID: a.TaskID}), a.TaskID, a.Version)
}
