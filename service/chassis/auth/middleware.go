package auth

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// challengeInvalid goes with a token that was refused. It never says why.
const challengeInvalid = httpapi.Challenge + `, error="invalid_token", error_description="The access token is invalid or has expired"`

// Guard implements httpapi.Guard.
func (v *Verifier) Guard(access httpapi.Access, next http.Handler) http.Handler {
	switch access {
	case httpapi.Open:
		return next
	case httpapi.Anyone:
		return v.Optional(next)
	case httpapi.Callers:
		return v.Required(next)
	case httpapi.Admins:
		return v.Required(adminsOnly(next))
	}
	panic(fmt.Sprintf("auth: the access %d is not known", access))
}

func adminsOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !FromContext(r.Context()).IsAdmin() {
			httpapi.WriteError(r.Context(), w, fault.New(fault.Denied, "This needs the role admin"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Required lets only callers pass who show a valid token; others are answered 401.
func (v *Verifier) Required(next http.Handler) http.Handler { return v.authenticate(next, false) }

// Optional lets callers without a token pass as anonymous. One who shows a token that does not hold is answered 401 all
// the same, or an expired session would silently show less than it should.
func (v *Verifier) Optional(next http.Handler) http.Handler { return v.authenticate(next, true) }

func (v *Verifier) authenticate(next http.Handler, anonymousMayPass bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers := r.Header.Values("Authorization")
		if len(headers) == 0 && anonymousMayPass {
			next.ServeHTTP(w, r)
			return
		}
		token, ok := bearer(headers)
		if !ok {
			httpapi.WriteError(r.Context(), w, fault.New(fault.Unauthenticated, "Missing or invalid authorization header"))
			return
		}
		id, err := v.Verify(token)
		if err != nil {
			w.Header().Set("WWW-Authenticate", challengeInvalid)
			httpapi.WriteError(r.Context(), w, fault.Wrap(fault.Unauthenticated, "The access token is invalid or has expired", err))
			return
		}
		httpapi.RecordOf(r.Context()).UserID = id.ID
		next.ServeHTTP(w, httpapi.Attach(r, identityKey{}, id))
	})
}

// bearer takes the token out of exactly one Authorization header of the scheme Bearer.
func bearer(headers []string) (string, bool) {
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
