package dashboard

import (
	"embed"
	"net/http"
	"path"
)

//go:embed page
var page embed.FS

// mediaTypes are those of the files, by the end of their names. What the machine knows of them differs from machine to machine.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// file serves one of the files of the page. They come from the same program on the same machine, so no browser has to keep them.
func file(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := page.ReadFile("page/" + name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", mediaTypes[path.Ext(name)])
		_, _ = w.Write(content) //nolint:gosec // what is written was embedded
	})
}
