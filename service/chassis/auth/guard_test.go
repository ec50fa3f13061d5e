package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestC33GuardKeepsTheAccessOfARoute(t *testing.T) {
	keys := newTestKeys(t, newClock(), secret.FromValue(secretA), secret.Source{})
	verifier, issuer := NewVerifier(keys, Policy{}), NewIssuer(keys, Policy{})
	for access, want := range map[httpapi.Access]map[Role]int{
		httpapi.Open:    {"": 204, RoleUser: 204, RoleTeacher: 204, RoleAdmin: 204},
		httpapi.Anyone:  {"": 204, RoleUser: 204, RoleTeacher: 204, RoleAdmin: 204},
		httpapi.Callers: {"": 401, RoleUser: 204, RoleTeacher: 204, RoleAdmin: 204},
		httpapi.Admins:  {"": 401, RoleUser: 403, RoleTeacher: 403, RoleAdmin: 204},
	} {
		h := verifier.Guard(access, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			httpapi.NoContent().Write(r.Context(), w)
		}))
		got := map[Role]int{}
		for role := range want {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			if role != "" {
				token, err := issuer.Mint(Identity{ID: "u", Role: role}, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+token)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			got[role] = rec.Code
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("access %d (-want +got):\n%s", access, diff)
		}
	}
}

func TestGuardRefusesAnUnknownAccess(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a route without an access is served")
		}
	}()
	(&Verifier{}).Guard(0, http.NotFoundHandler())
}
