package dashboard

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/mirubato/mirubato/plugin/dashboard/page"
)

// onLoopback refuses requests for any other name than that of the loopback interface. A page elsewhere whose name was made to lead
// here would send its own name. It also sets the headers of every answer.
func onLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.SetHeaders(w.Header(), page.Policy)
		if !isLoopback(r.Host) {
			http.Error(w, "The dashboard is served at the loopback interface only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reads the header Host. Any port will do, since one may be forwarded to another.
func isLoopback(host string) bool {
	name := host
	if without, _, err := net.SplitHostPort(host); err == nil {
		name = without
	}
	if name == "localhost" {
		return true
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return ip != nil && ip.IsLoopback()
}

// fromPage refuses writes that do not come from the page itself.
func fromPage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !isRead && (r.Header.Get("Origin") != "http://"+r.Host || r.Header.Get("Content-Type") != "application/json") {
			http.Error(w, "Orders are taken from the page of the dashboard only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// keys are what lets somebody in. Opening the address spends the ticket and gives the browser two others: a cookie, without which
// nothing is served, and a key for the page. The cookie alone shows nothing: browsers send it to every port of the host, so that
// another program of the machine could get hold of it. The key they give to no other port.
type keys struct {
	ticket, cookie, key string
	cookieName          string
	spent               *atomic.Bool
}

func newKeys() keys {
	return keys{ticket: rand.Text(), cookie: rand.Text(), key: rand.Text(), cookieName: "mirubato-" + rand.Text()[:8], spent: &atomic.Bool{}}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (k keys) hasCookie(r *http.Request) bool {
	sent, err := r.Cookie(k.cookieName)
	return err == nil && same(sent.Value, k.cookie)
}

// opening hands the key over behind the #, which is sent to nobody. It is a page and no redirection, so that the browser takes
// the next request as one of this site and sends the cookie, wherever the address was clicked.
const opening = `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Mirubato</title>` +
	`<link rel="icon" href="/site/icon.svg"><meta http-equiv="refresh" content="0; url=/#key=%s">`

// open lets whoever has the ticket in, once, and whoever is in already.
func (k keys) open(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // HEAD, with which some programs look at addresses before a person does
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if !same(r.PathValue("ticket"), k.ticket) || !k.hasCookie(r) && !k.spent.CompareAndSwap(false, true) {
		http.Error(w, "This address does not hold, or was opened already. Start the dashboard again for a new one.", http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure: the loopback interface has no TLS, and needs none
		Name: k.cookieName, Value: k.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, opening, k.key) // a browser that is gone is told nothing
}

// withCookie serves browsers that have opened the address.
func (k keys) withCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !k.hasCookie(r) {
			http.Error(w, "Open the address that kubectl mirubato dashboard has printed.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withKey serves the page.
func (k keys) withKey(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || !same(sent, k.key) {
			http.Error(w, "Open the address that kubectl mirubato dashboard has printed.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
