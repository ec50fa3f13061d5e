package incluster

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/mirubato/mirubato/plugin/dashboard/board"
	"github.com/mirubato/mirubato/plugin/dashboard/page"
)

// cookieName has a prefix that browsers take from the very host only, over TLS, for all of it.
const cookieName = "__Host-mirubato-token"

const (
	// maxForm is how many bytes the form may have.
	maxForm = 16 << 10
	// maxCookie is how long a token may be that a browser keeps in a cookie, of which all take 4096 bytes with name and attributes.
	maxCookie = 3800
)

// credential is what a request brings along.
type credential struct {
	token string
	// fromCookie says that the browser keeps it, and not a proxy or a program.
	fromCookie bool
}

// brought prefers the header, which a proxy sets, to the cookie. ok is false if there is neither.
func brought(r *http.Request) (c credential, ok bool) {
	if kind, token, found := strings.Cut(r.Header.Get("Authorization"), " "); found && strings.EqualFold(kind, "Bearer") {
		return credential{token: strings.TrimSpace(token)}, true
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil || cookie.Value == "" {
		return credential{}, false
	}
	return credential{token: cookie.Value, fromCookie: true}, true
}

// caller is who asks, and how the page names them.
func (s *Server) caller(ctx context.Context, r *http.Request) (*person, *board.Viewer, error) {
	c, ok := brought(r)
	if !ok {
		return nil, nil, errUnknown
	}
	who, err := s.reviews.who(ctx, c.token)
	if err != nil {
		return nil, nil, err
	}
	return who, &board.Viewer{Name: who.user.Username, SignedIn: c.fromCookie}, nil
}

// What is said above the form.
const (
	saidUnknown  = "This token does not hold, or no longer."
	saidTooLong  = "This token is too long for a cookie. Let a proxy send it in the header Authorization."
	saidNoAnswer = "The API server does not say whose token this is. Try again."
)

// door serves the page to whoever is let in, and the form to everybody else.
func (s *Server) door(files http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _, err := s.caller(r.Context(), r)
		_, has := brought(r)
		switch {
		case err == nil:
			files.ServeHTTP(w, r)
		case !errors.Is(err, errUnknown):
			s.options.Log.Error(err, "letting somebody in")
			form(w, http.StatusBadGateway, saidNoAnswer)
		case has:
			form(w, http.StatusUnauthorized, saidUnknown)
		default:
			form(w, http.StatusUnauthorized, "")
		}
	})
}

// signIn gives a browser a token that holds. To do it twice does no harm.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	token := strings.TrimSpace(r.PostFormValue("token"))
	if len(token) > maxCookie {
		form(w, http.StatusBadRequest, saidTooLong)
		return
	}
	who, err := s.reviews.who(r.Context(), token)
	switch {
	case errors.Is(err, errUnknown):
		form(w, http.StatusUnauthorized, saidUnknown)
	case err != nil:
		s.options.Log.Error(err, "letting somebody in")
		form(w, http.StatusBadGateway, saidNoAnswer)
	default:
		s.options.Log.Info("signing in to the dashboard", "user", who.user.Username)
		http.SetCookie(w, cookie(token, 0))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// signOut takes the token from the browser. It holds on elsewhere, until it ends by itself.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie("", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// cookie lasts as long as the browser if its age is 0, and ends at once if it is less. No script can read it, and no other site sends it along.
func cookie(token string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: token, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// form serves the form, with one of the texts above.
func form(w http.ResponseWriter, status int, said string) {
	content := page.SignIn()
	if said != "" {
		content = bytes.Replace(content, []byte("<!-- said -->"), []byte(`<p class="box" data-tone="bad" role="alert">`+said+`</p>`), 1)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(content) // a browser that is gone is told nothing
}
