package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/swaggest/swgui/v5/static"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// The paths of the document and of the page.
const (
	DocumentPath = "/docs"
	PagePath     = "/swagger"
)

// aliases are other paths at which clients look, by the names of their routes.
var (
	documentAliases = [][2]string{{"/docs/openapi.json", "getDocumentFile"}, {"/api/openapi.json", "getAPIDocument"}}
	pageAliases     = [][2]string{{"/docs/swagger", "getDocumentPage"}}
)

// pagePolicy lets the page load its own scripts and styles and ask its own origin, and nothing else. The page's library
// writes styles into elements, and draws small pictures from data URLs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page
var page embed.FS

// assets are the files of the page's library, packed as they are kept.
var assets = []string{
	"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png",
}

// Routes are the document and the page. The document describes what table returns, which is asked once, at the first request, so
// that it may hold these routes as well and starting costs nothing.
func Routes(info Info, table func() []httpapi.Route) []httpapi.Route {
	document := sync.OnceValues(func() (answer, error) {
		body, err := Document(info, table())
		if err != nil {
			return answer{}, err
		}
		return newAnswer(body, jsonType, ""), nil
	})
	routes := []httpapi.Route{
		documentAt(DocumentPath, "getDocument", "This document", document),
		pageAt(PagePath, "getPage", "A page to read and try the API"),
		{
			Method: http.MethodGet, Path: PagePath + "/{file}", Access: httpapi.Open,
			Name: "getPageFile", Group: group, Summary: "A file of the page", Status: http.StatusOK,
			Params: fileParams{}, MediaType: "*/*", Others: map[int]any{http.StatusNotModified: nil},
			Faults:  []fault.Code{fault.NotFound},
			Handler: serve(func(r *http.Request) (answer, error) { return asset(r.PathValue("file")) }),
		},
	}
	for _, alias := range documentAliases {
		routes = append(routes, documentAt(alias[0], alias[1], "This document, at another address", document))
	}
	for _, alias := range pageAliases {
		routes = append(routes, pageAt(alias[0], alias[1], "The page, at another address"))
	}
	return routes
}

// group is the heading of these routes in the document.
const group = "Documentation"

func documentAt(path, name, summary string, document func() (answer, error)) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: path, Access: httpapi.Open,
		Name: name, Group: group, Summary: summary, Status: http.StatusOK,
		Response: map[string]any{}, Others: map[int]any{http.StatusNotModified: nil},
		Handler: serve(func(*http.Request) (answer, error) { return document() }),
	}
}

func pageAt(path, name, summary string) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: path, Access: httpapi.Open,
		Name: name, Group: group, Summary: summary, Status: http.StatusOK,
		MediaType: "text/html", Others: map[int]any{http.StatusNotModified: nil},
		Handler: serve(func(*http.Request) (answer, error) {
			return readAnswer(page, "page/index.html", "text/html; charset=utf-8")
		}),
	}
}

type fileParams struct {
	File string `path:"file" required:"true"`
}

// answer is a body that never changes while the process runs.
type answer struct {
	body      []byte
	mediaType string
	etag      string
	// encoding is gzip or empty.
	encoding string
}

func newAnswer(body []byte, mediaType, encoding string) answer {
	sum := sha256.Sum256(body)
	return answer{body: body, mediaType: mediaType, encoding: encoding, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

func readAnswer(files fs.FS, name, mediaType string) (answer, error) {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return answer{}, fmt.Errorf("reading the page: %w", err)
	}
	return newAnswer(body, mediaType, ""), nil
}

// asset finds a file of the page: its own script, or one of the library's files, most of which are kept packed.
func asset(name string) (answer, error) {
	mediaType := mime.TypeByExtension(path.Ext(name))
	if name == "start.js" {
		return readAnswer(page, "page/start.js", mediaType)
	}
	for _, known := range assets {
		if name != known {
			continue
		}
		if body, err := static.FS.ReadFile(name); err == nil {
			return newAnswer(body, mediaType, ""), nil
		}
		body, err := static.FS.ReadFile(name + ".gz")
		if err != nil {
			return answer{}, fmt.Errorf("reading the page: %w", err)
		}
		return newAnswer(body, mediaType, "gzip"), nil
	}
	return answer{}, fault.New(fault.NotFound, "The page has no such file")
}

func serve(find func(*http.Request) (answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := find(r)
		if err != nil {
			httpapi.WriteError(r.Context(), w, err)
			return
		}
		if a.encoding != "" && !strings.Contains(r.Header.Get("Accept-Encoding"), a.encoding) {
			if a, err = unpacked(a); err != nil {
				httpapi.WriteError(r.Context(), w, err)
				return
			}
		}
		a.response().Write(r.Context(), w)
	})
}

func (a answer) response() httpapi.Response {
	res := httpapi.Bytes(a.mediaType, a.body).WithETag(a.etag).WithHeader("Cache-Control", "public, no-cache")
	if a.mediaType != jsonType {
		res = res.WithHeader("Content-Security-Policy", pagePolicy)
	}
	if a.encoding != "" {
		res = res.WithHeader("Content-Encoding", a.encoding).WithHeader("Vary", "Accept-Encoding")
	}
	return res
}

// unpacked is for the rare client that cannot unpack.
func unpacked(a answer) (answer, error) {
	reader, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return answer{}, fmt.Errorf("unpacking the page: %w", err)
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		return answer{}, fmt.Errorf("unpacking the page: %w", err)
	}
	return newAnswer(body, a.mediaType, ""), nil
}
