package file

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

const (
	// transferPatience is how long a file may be on its way.
	transferPatience = 10 * time.Minute
	// contentLife is how long anybody may keep a public file: its address always leads to the same content.
	contentLife = 365 * 24 * time.Hour
	// incipitLife is how long anybody may keep the first bars of a public score.
	incipitLife = time.Minute
	// envelope is what a form may have around the file, in bytes.
	envelope = 64 << 10
)

// formName is the part of the form that holds the file.
const formName = "file"

// addRoute takes a form, whose file is read as it comes.
func addRoute(f *Files) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: listPath, Access: httpapi.Callers, Class: httpapi.ClassUpload,
		Name: "addVersion", Group: group, Summary: "Upload a file of a score",
		Description: "A form with one part, named file: MusicXML, compressed MusicXML or PDF. Its name, its declared type and its content must agree. " +
			"What is in it is found out afterwards; watch the task. Uploading a content that the score has already changes nothing.",
		Params: scoreParams{}, Consumes: []string{"multipart/form-data"},
		MaxBody: f.cfg.MaxSize + envelope, Patience: transferPatience,
		Status: http.StatusAccepted, Response: httpapi.Accepted[Version]{}, Others: map[int]any{http.StatusOK: httpapi.Envelope[Version]{}},
		Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, err := add(f, r)
			if err != nil {
				w.Header().Set("Connection", "close") // the rest of the body is not read
				httpapi.WriteError(r.Context(), w, err)
				return
			}
			respondAdded(a).Write(r.Context(), w)
		}),
	}
}

// add reads the form to its end: a form that breaks off holds no file.
func add(f *Files, r *http.Request) (a added, err error) {
	id, err := httpapi.PathUUID(r, "id")
	if err != nil {
		return a, err
	}
	if _, err := httpapi.RequireMedia(r, "multipart/form-data"); err != nil {
		return a, err
	}
	form, err := r.MultipartReader()
	if err != nil {
		return a, fault.Wrap(fault.UnsupportedMedia, "The form is malformed: its Content-Type names no boundary", err)
	}
	part, err := form.NextRawPart()
	switch {
	case errors.Is(err, io.EOF):
		return a, invalidFile("required", "must be given, as a part of the form with this name")
	case err != nil:
		return a, bodyFault(err)
	case part.FormName() != formName:
		return a, fault.InvalidInput("Validation failed", fault.Detail{Field: shown(part.FormName()), Code: "unknown_field", Message: "is not a part of this form"})
	}
	a.Version, a.isNew, err = f.Add(r.Context(), auth.FromContext(r.Context()), id, Upload{
		FileName: part.FileName(), MediaType: part.Header.Get("Content-Type"), Body: part,
	})
	return a, bodyFault(err)
}

// shown bounds what of a client's input is echoed.
func shown(name string) string {
	const most = 64
	if name = plainName(name); len(name) > most {
		return ""
	}
	return name
}

// bodyFault makes a fault of an error that is none: it came from the body.
func bodyFault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return httpapi.BodyFault(err)
}

// contentParams describe the parameters of the route to a content.
type contentParams struct {
	versionParams
	Expires   int64  `query:"expires" description:"Of a link."`
	Signature string `query:"signature" description:"Of a link."`
}

func contentRoute(f *Files) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: itemPath + "/content", Access: httpapi.Anyone, Patience: transferPatience,
		Name: "getContent", Group: group, Summary: "Download a file of a score",
		Description: "Answers Range, If-Range, If-None-Match and If-Modified-Since. A file of a public score may be kept by everybody for ever; all others are the caller's own.",
		Params:      contentParams{}, Status: http.StatusOK,
		MediaType: "application/vnd.recordare.musicxml+xml, application/vnd.recordare.musicxml, application/pdf",
		Others: map[int]any{
			http.StatusPartialContent: nil, http.StatusNotModified: nil, http.StatusRequestedRangeNotSatisfiable: nil,
		},
		Faults: []fault.Code{fault.NotFound, fault.Denied},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := serveContent(f, w, r); err != nil {
				httpapi.WriteError(r.Context(), w, err)
			}
		}),
	}
}

// serveContent answers with a file or a part of it. It returns an error if nothing was answered.
func serveContent(f *Files, w http.ResponseWriter, r *http.Request) error {
	t, err := decodeTarget(r)
	if err != nil {
		return err
	}
	grant, err := grantOf(r.URL.Query())
	if err != nil {
		return err
	}
	o, err := f.Open(r.Context(), auth.FromContext(r.Context()), t.scoreID, t.id, grant)
	if err != nil {
		return err
	}
	defer o.Content.Close()
	h := w.Header()
	h.Set("Content-Type", o.MediaType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": o.FileName}))
	h.Set("ETag", `"`+o.SHA256+`"`)
	h.Set("Vary", "Authorization")
	h.Set("Cache-Control", cacheControl(o.Public, grant != nil))
	http.ServeContent(w, r, "", o.CreatedAt, o.Content)
	return nil
}

// cacheControl says who may keep a content. What a link leads to is kept nowhere: whoever finds it later has no link.
func cacheControl(public, byLink bool) string {
	switch {
	case byLink:
		return httpapi.CacheControl{}.String()
	case public:
		return httpapi.CacheControl{Public: true, MaxAge: contentLife, Immutable: true}.String()
	}
	return httpapi.CacheControl{Private: true}.String()
}
