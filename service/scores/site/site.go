// Package site is the page on which a person browses the library: a catalogue, scores, signing in. It owns what the browser loads and
// how that may be kept. The page asks the API like any other client and shows nothing that the API would not; no answer of this
// package depends on who asks.
package site

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

//go:embed page
var page embed.FS

const (
	// directory is where the files of the page are served. The name behind it changes with any of them, since they belong together.
	directory = "/site/"
	// base stands in the page for the directory.
	base = "{{base}}"
	// policy lets the page load its own files and ask its own origin, and nothing else. Pictures that
	// only one reader may see come from memory (blob:). No text ever becomes HTML or script.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; " +
		"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

// How long caches keep things: what has the hash of its content in its address, forever; what has not, until they have asked.
const (
	kept  = "public, max-age=31536000, immutable"
	asked = "public, no-cache"
)

// mediaTypes are those of the files, by the end of their names. What the machine knows of them differs from machine to machine.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// group is the heading of these routes in the API's document.
const group = "Page"

// Routes are the page, at every address that it shows, and its files.
func Routes() []httpapi.Route {
	load := sync.OnceValues(read)
	return []httpapi.Route{
		at("/{$}", "getCataloguePage", "The catalogue, for a person", nil, load),
		at("/scores/{id}", "getScorePage", "A score, for a person", pageParams{}, load),
		at("/sign-in", "getSignInPage", "Signing in, for a person", nil, load),
		{
			Method: http.MethodGet, Path: directory + "{version}/{file}", Access: httpapi.Open,
			Name: "getSiteFile", Group: group, Summary: "A file of the page", Params: fileParams{},
			Status: http.StatusOK, MediaType: "*/*", Others: map[int]any{http.StatusNotModified: nil}, Faults: []fault.Code{fault.NotFound},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, load) }),
		},
	}
}

type pageParams struct {
	ID string `path:"id" required:"true"`
}

type fileParams struct {
	Version string `path:"version" required:"true"`
	File    string `path:"file" required:"true"`
}

func at(path, name, summary string, params any, load func() (*files, error)) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: path, Access: httpapi.Open,
		Name: name, Group: group, Summary: summary, Params: params,
		Status: http.StatusOK, MediaType: "text/html", Others: map[int]any{http.StatusNotModified: nil},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			all, err := load()
			if err != nil {
				httpapi.WriteError(r.Context(), w, err)
				return
			}
			all.index.response(r, asked).WithHeader("Content-Security-Policy", policy).
				WithHeader("Cross-Origin-Opener-Policy", "same-origin").Write(r.Context(), w)
		}),
	}
}

// serveFile answers with a file of the page. While two releases run, a page of one may ask the other for its files: it gets those that are
// there, which hardly ever differ, but nobody keeps them under the wrong name.
func serveFile(w http.ResponseWriter, r *http.Request, load func() (*files, error)) {
	all, err := load()
	if err != nil {
		httpapi.WriteError(r.Context(), w, err)
		return
	}
	found, ok := all.named[r.PathValue("file")]
	if !ok {
		httpapi.WriteError(r.Context(), w, fault.New(fault.NotFound, "The page has no such file"))
		return
	}
	control := kept
	if r.PathValue("version") != all.version {
		control = asked
	}
	found.response(r, control).Write(r.Context(), w)
}

// files are the page and what it loads.
type files struct {
	// version names the content of all of them.
	version string
	index   file
	named   map[string]file
}

// file is one file, as it is and packed.
type file struct {
	mediaType      string
	plain, packed  []byte
	etag, packedAs string
}

// read prepares the files. It is called once, at the first request, so that starting costs nothing.
func read() (*files, error) {
	entries, err := page.ReadDir("page")
	if err != nil {
		return nil, fmt.Errorf("reading the page: %w", err)
	}
	all, sum, contents := &files{named: map[string]file{}}, sha256.New(), map[string][]byte{}
	for _, entry := range entries { // in the order of their names
		content, err := page.ReadFile("page/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the page: %w", err)
		}
		contents[entry.Name()] = content
		fmt.Fprintf(sum, "%s %d\n", entry.Name(), len(content))
		sum.Write(content)
	}
	const length = 12
	all.version = hex.EncodeToString(sum.Sum(nil)[:length])
	for name, content := range contents {
		if name == "index.html" {
			content = bytes.ReplaceAll(content, []byte(base), []byte(directory+all.version))
		}
		made, err := newFile(name, content)
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
		all.named[name] = made
	}
	all.index = all.named["index.html"]
	delete(all.named, "index.html")
	return all, nil
}

func newFile(name string, content []byte) (file, error) {
	var packed bytes.Buffer
	to, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return file{}, err
	}
	if _, err := to.Write(content); err != nil {
		return file{}, err
	}
	if err := to.Close(); err != nil {
		return file{}, err
	}
	const length = 16
	sum := sha256.Sum256(content)
	tag := hex.EncodeToString(sum[:length])
	return file{
		mediaType: mediaTypes[path.Ext(name)], plain: content, packed: packed.Bytes(),
		etag: `"` + tag + `"`, packedAs: `"` + tag + `-gzip"`,
	}, nil
}

// response is the file in the form that the client takes.
func (f file) response(r *http.Request, control string) httpapi.Response {
	body, etag := f.plain, f.etag
	packs := takesGzip(r.Header.Get("Accept-Encoding"))
	if packs {
		body, etag = f.packed, f.packedAs
	}
	res := httpapi.Bytes(f.mediaType, body).WithETag(etag).WithHeader("Cache-Control", control).WithHeader("Vary", "Accept-Encoding")
	if packs {
		res = res.WithHeader("Content-Encoding", "gzip")
	}
	return res
}

// takesGzip reads the header Accept-Encoding (RFC 9110 section 12.5.3). A weight of nought means no.
func takesGzip(accepts string) bool {
	for part := range strings.SplitSeq(accepts, ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			quality := strings.TrimLeft(strings.ReplaceAll(strings.ToLower(weight), " ", ""), "q=")
			return weight == "" || strings.Trim(quality, "0.") != ""
		}
	}
	return false
}
