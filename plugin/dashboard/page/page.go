// Package page holds the files of the dashboard's page, and what every browser is told that loads them: the policy, and that nothing is kept.
//
// It owns the files and those headers. Who gets the page, and what it is told, is of those who serve it: whoever does, also serves one of
// the two files place-*.js as place.js, which tells the page where it is.
package page

import (
	"embed"
	"net/http"
	"path"
	"strings"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// mediaTypes are those of the files, by the end of their names. What the machine knows of them differs from machine to machine.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// Policy lets the page load its own files and ask its own origin, and nothing else. No text ever becomes HTML or script, and no form is
// sent.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// PolicyWithForms lets forms be sent to the page's own origin, and is else as strict as Policy.
func PolicyWithForms() string {
	return strings.Replace(Policy, "form-action 'none'", "form-action 'self'", 1)
}

// SetHeaders sets those of every answer, of the page and of what it asks.
func SetHeaders(header http.Header, policy string) {
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY",
	} {
		header.Set(name, value)
	}
}

// File serves one of the files. They come from the same program as what the page is told, so no browser has to keep them.
func File(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := files.ReadFile(name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", mediaTypes[path.Ext(name)])
		_, _ = w.Write(content) //nolint:gosec // what is written was embedded
	})
}

// Files serves /site/{file} and the page itself at /, where place is the file that tells it where it is.
func Files(place string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", File("index.html"))
	mux.Handle("GET /site/place.js", File(place))
	mux.HandleFunc("GET /site/{file}", func(w http.ResponseWriter, r *http.Request) { File(r.PathValue("file")).ServeHTTP(w, r) })
	return mux
}

// SignIn is the form that takes a token, where the page is served to many. What there is to say takes the place of the comment in it.
func SignIn() []byte {
	content, err := files.ReadFile("signin.html")
	if err != nil {
		panic(err) // it was embedded
	}
	return content
}
