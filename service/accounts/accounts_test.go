package accounts_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/accounts"
	"github.com/mirubato/mirubato/service/accounts/store"
	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/openapi/openapitest"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

const password = "correct horse battery"

var admin = auth.Identity{ID: "root", Role: auth.RoleAdmin}

// unmeasured counts nothing.
type unmeasured struct{}

func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}

// api is accounts behind a real HTTP handler on a real database.
type api struct {
	t       testing.TB
	db      *postgres.DB
	users   *accounts.Accounts
	log     *audit.Log
	issuer  *auth.Issuer
	handler http.Handler
}

func newAPI(t testing.TB) *api {
	t.Helper()
	return newAPIOn(t, func(r accounts.Repository) accounts.Repository { return r })
}

// newAPIOn is a newAPI whose store can be got in between.
func newAPIOn(t testing.TB, between func(accounts.Repository) accounts.Repository) *api {
	t.Helper()
	db := scorestest.Open(t, scorestest.URL(t))
	keys, err := auth.NewKeys(secret.FromValue("a signing secret for tests, long enough"), secret.Source{}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	issuer, log := auth.NewIssuer(keys, auth.Policy{}), audit.New(db, uuid.NewString)
	users := accounts.New(between(store.New(db)), issuer, log, uuid.NewString, func() accounts.Lives {
		return accounts.Lives{Access: 15 * time.Minute, Refresh: 30 * 24 * time.Hour}
	})
	router := httpapi.NewRouter()
	router.Mount(auth.NewVerifier(keys, auth.Policy{}), append(accounts.Routes(users), log.Routes()...))
	handler := openapitest.Handler(t, router.Routes(), httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: unmeasured{}, RequestTimeout: httpapi.Fixed(30 * time.Second), MaxBody: 1 << 20,
	}, router))
	return &api{t: t, db: db, users: users, log: log, issuer: issuer, handler: handler}
}

func (a *api) call(method, path, token, body string) (int, []byte) {
	a.t.Helper()
	req := httptest.NewRequestWithContext(a.t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	a.handler.ServeHTTP(rec, req)
	read, err := io.ReadAll(rec.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return rec.Code, read
}

// data decodes the data of an envelope.
func data[T any](t testing.TB, body []byte) T {
	t.Helper()
	var envelope httpapi.Envelope[T]
	if err := json.Unmarshal(body, &envelope); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return envelope.Data
}

func (a *api) user(email string) accounts.User {
	a.t.Helper()
	u, err := a.users.Create(a.t.Context(), admin, accounts.NewUser{Email: email, Role: auth.RoleTeacher, Password: password})
	if err != nil {
		a.t.Fatal(err)
	}
	return u
}

func (a *api) login(email string) accounts.Tokens {
	a.t.Helper()
	status, body := a.call("POST", "/api/auth/token", "", `{"email":"`+email+`","password":"`+password+`"}`)
	if status != http.StatusOK {
		a.t.Fatalf("login: %d %s", status, body)
	}
	return data[accounts.Tokens](a.t, body)
}

// refresh returns the status and the new tokens.
func (a *api) refresh(token string) (int, accounts.Tokens) {
	a.t.Helper()
	status, body := a.call("POST", "/api/auth/refresh", "", `{"refreshToken":"`+token+`"}`)
	if status != http.StatusOK {
		return status, accounts.Tokens{}
	}
	return status, data[accounts.Tokens](a.t, body)
}

// age moves the use of all tokens into the past, beyond the grace.
func (a *api) age() {
	a.t.Helper()
	if _, err := a.db.Direct("test.age", `update refresh_tokens set used_at = used_at - interval '11 seconds'`).Exec(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

func TestC32LifeOfASession(t *testing.T) {
	a := newAPI(t)
	made := a.user("Ada@example.org")
	tokens := a.login("ada@EXAMPLE.org")
	if tokens.ExpiresIn != 900 || tokens.TokenType != "Bearer" || len(tokens.RefreshToken) != 43 {
		t.Errorf("tokens: %+v", tokens)
	}
	status, body := a.call("GET", "/api/auth/me", tokens.AccessToken, "")
	want := accounts.Me{ID: made.ID, Role: auth.RoleTeacher, Email: &made.Email}
	if diff := cmp.Diff(want, data[accounts.Me](t, body)); diff != "" || status != 200 {
		t.Errorf("me: %d (-want +got):\n%s", status, diff)
	}
	status, next := a.refresh(tokens.RefreshToken)
	if status != 200 || next.RefreshToken == tokens.RefreshToken {
		t.Fatalf("refresh: %d, %+v", status, next)
	}
	if status, _ := a.call("POST", "/api/auth/logout", "", `{"refreshToken":"`+next.RefreshToken+`"}`); status != 204 {
		t.Errorf("logout: %d", status)
	}
	if status, _ := a.refresh(next.RefreshToken); status != 401 {
		t.Errorf("refresh after logout: %d, want 401", status)
	}
	if status, _ := a.call("POST", "/api/auth/logout", "", `{"refreshToken":"`+next.RefreshToken+`"}`); status != 204 {
		t.Errorf("second logout: %d", status)
	}
}

func TestC32ReuseEndsTheSession(t *testing.T) {
	for name, steal := range map[string]func(a *api, first, second string){
		"a used token shown after the grace": func(a *api, first, _ string) { a.age(); a.refresh(first) },
		"a used token whose successor was used, within the grace": func(a *api, first, second string) {
			if status, _ := a.refresh(second); status != 200 {
				a.t.Fatal("the successor is refused")
			}
			a.refresh(first)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.user("ada@example.org")
			other := a.login("ada@example.org")
			first := a.login("ada@example.org")
			_, second := a.refresh(first.RefreshToken)
			steal(a, first.RefreshToken, second.RefreshToken)
			a.age()
			if status, _ := a.refresh(second.RefreshToken); status != 401 {
				t.Errorf("the session goes on: %d", status)
			}
			if status, _ := a.refresh(other.RefreshToken); status != 200 {
				t.Errorf("another session of the user ended too: %d", status)
			}
		})
	}
}

func TestC32LostAnswerIsForgiven(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	first := a.login("ada@example.org")
	if status, _ := a.refresh(first.RefreshToken); status != 200 { // the answer is lost
		t.Fatal(status)
	}
	status, again := a.refresh(first.RefreshToken)
	if status != 200 {
		t.Fatalf("the same token within the grace: %d", status)
	}
	if status, _ := a.refresh(again.RefreshToken); status != 200 {
		t.Errorf("going on: %d", status)
	}
}

func TestC32BranchesOfASessionEndIt(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	first := a.login("ada@example.org")
	_, mine := a.refresh(first.RefreshToken)
	_, theirs := a.refresh(first.RefreshToken)
	if status, _ := a.refresh(mine.RefreshToken); status != 200 {
		t.Fatal(status)
	}
	if status, _ := a.refresh(theirs.RefreshToken); status != 401 {
		t.Errorf("two clients go on with one session: %d", status)
	}
}

func TestC32ConcurrentRefreshesLeaveOneSession(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	first := a.login("ada@example.org")
	var wg sync.WaitGroup
	results := make([]int, 8)
	for i := range results {
		wg.Go(func() { results[i], _ = a.refresh(first.RefreshToken) })
	}
	wg.Wait()
	for _, status := range results {
		if status != 200 {
			t.Errorf("at once: %v, want the grace for each", results)
		}
	}
}

func TestLoginRefusals(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	for name, tc := range map[string]struct {
		path, body string
		status     int
	}{
		"a wrong password":              {path: "/api/auth/token", body: `{"email":"ada@example.org","password":"wrong"}`, status: 401},
		"nobody's address":              {path: "/api/auth/token", body: `{"email":"bob@example.org","password":"` + password + `"}`, status: 401},
		"an address with a NUL":         {path: "/api/auth/token", body: `{"email":"ada@example.org\u0000","password":"` + password + `"}`, status: 401},
		"an endless password":           {path: "/api/auth/token", body: `{"email":"ada@example.org","password":"` + strings.Repeat("x", 5000) + `"}`, status: 401},
		"nothing":                       {path: "/api/auth/token", body: `{}`, status: 401},
		"an unknown field":              {path: "/api/auth/token", body: `{"user":"ada"}`, status: 400},
		"a refresh token that is none":  {path: "/api/auth/refresh", body: `{"refreshToken":"x"}`, status: 401},
		"a refresh token that was made": {path: "/api/auth/refresh", body: `{"refreshToken":"` + strings.Repeat("A", 43) + `"}`, status: 401},
		"an end of no session":          {path: "/api/auth/logout", body: `{"refreshToken":"x"}`, status: 204},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := a.call("POST", tc.path, "", tc.body)
			if status != tc.status {
				t.Errorf("%d %s, want %d", status, body, tc.status)
			}
		})
	}
	if status, _ := a.call("GET", "/api/auth/me", "", ""); status != 401 {
		t.Errorf("me without a token: %d", status)
	}
}

func TestUnknownUsersTakeAsLong(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	fastest := func(email string) time.Duration {
		least := time.Hour
		for range 5 {
			started := time.Now()
			_, _ = a.users.Login(t.Context(), accounts.Credentials{Email: email, Password: "wrong"})
			least = min(least, time.Since(started))
		}
		return least
	}
	known, unknown := fastest("ada@example.org"), fastest("bob@example.org")
	if unknown < known/3 || known < unknown/3 {
		t.Errorf("a known user takes %s, an unknown one %s", known, unknown)
	}
}

func TestTokenOfNoUserStillSaysWhoCalls(t *testing.T) {
	a := newAPI(t)
	token, err := a.issuer.Mint(auth.Identity{ID: "alice", Role: auth.RoleUser}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	status, body := a.call("GET", "/api/auth/me", token, "")
	if diff := cmp.Diff(accounts.Me{ID: "alice", Role: auth.RoleUser}, data[accounts.Me](t, body)); diff != "" || status != 200 {
		t.Errorf("%d (-want +got):\n%s", status, diff)
	}
}

func TestCreateUser(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	token := func(role auth.Role) string {
		minted, err := a.issuer.Mint(auth.Identity{ID: "root", Role: role}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return minted
	}
	for name, tc := range map[string]struct {
		role   auth.Role
		body   string
		status int
		code   fault.Code
		field  string
	}{
		"an admin makes a user":      {role: auth.RoleAdmin, body: `{"email":"eve@example.org","role":"user","password":"` + password + `"}`, status: 201},
		"a teacher does not":         {role: auth.RoleTeacher, body: `{"email":"e@example.org","role":"user","password":"` + password + `"}`, status: 403, code: fault.Denied},
		"the same address":           {role: auth.RoleAdmin, body: `{"email":"ADA@example.org","role":"user","password":"` + password + `"}`, status: 409, code: fault.Conflict},
		"a short password":           {role: auth.RoleAdmin, body: `{"email":"f@example.org","role":"user","password":"short"}`, status: 400, code: fault.Invalid, field: "password"},
		"a role that does not exist": {role: auth.RoleAdmin, body: `{"email":"f@example.org","role":"king","password":"` + password + `"}`, status: 400, code: fault.Invalid, field: "role"},
		"an address that is none":    {role: auth.RoleAdmin, body: `{"email":"Ada <ada@x>","role":"user","password":"` + password + `"}`, status: 400, code: fault.Invalid, field: "email"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := a.call("POST", "/api/admin/users", token(tc.role), tc.body)
			var refused httpapi.ErrorEnvelope
			if err := json.Unmarshal(body, &refused); err != nil {
				t.Fatal(err)
			}
			if status != tc.status || refused.Code != tc.code {
				t.Fatalf("%d %s", status, body)
			}
			if tc.field != "" && (len(refused.Details) != 1 || refused.Details[0].Field != tc.field) {
				t.Errorf("details %v, want %s", refused.Details, tc.field)
			}
			if strings.Contains(string(body), password) || strings.Contains(string(body), "argon2") {
				t.Errorf("the answer holds a secret: %s", body)
			}
		})
	}
}

func TestSweepRemovesWhatHasExpired(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	old, fresh := a.login("ada@example.org"), a.login("ada@example.org")
	if _, err := a.db.Direct("test.expire", `update refresh_tokens set expires_at = now() - interval '1 second'
		where hash = (select hash from refresh_tokens order by issued_at limit 1)`).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, _ := a.refresh(old.RefreshToken); status != 401 {
		t.Errorf("an expired token: %d", status)
	}
	if err := a.users.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := a.db.Direct("test.count", `select count(*) from refresh_tokens`).QueryRow(t.Context(), []any{&left}); err != nil || left != 1 {
		t.Errorf("%d left, %v; want 1", left, err)
	}
	if status, _ := a.refresh(fresh.RefreshToken); status != 200 {
		t.Errorf("a token that has not expired: %d", status)
	}
}

func TestAuditLogShowsPrivilegedActs(t *testing.T) {
	a := newAPI(t)
	made := a.user("ada@example.org")
	token, err := a.issuer.Mint(admin, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := a.call("POST", "/api/admin/users", token, `{"email":"eve@example.org","role":"admin","password":"`+password+`"}`); status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	status, body := a.call("GET", "/api/admin/audit?limit=1&page=2", token, "")
	var list httpapi.ListEnvelope[audit.Entry]
	if err := json.Unmarshal(body, &list); err != nil || status != 200 || len(list.Data) != 1 {
		t.Fatalf("%d %s", status, body)
	}
	got := list.Data[0]
	want := audit.Entry{ID: got.ID, At: got.At, ActorID: "root", ActorRole: "admin", Action: "user.create", Target: made.ID, Details: json.RawMessage(`{"role":"teacher"}`)}
	got.Details = json.RawMessage(strings.ReplaceAll(string(got.Details), " ", ""))
	if diff := cmp.Diff(want, got); diff != "" || list.Pagination.Total != 2 {
		t.Errorf("the older of %d entries (-want +got):\n%s", list.Pagination.Total, diff)
	}
	_, body = a.call("GET", "/api/admin/audit?limit=1", token, "")
	if err := json.Unmarshal(body, &list); err != nil || list.Data[0].RequestID == "" {
		t.Errorf("the newest entry does not name its request: %s", body)
	}
	teacher, err := a.issuer.Mint(auth.Identity{ID: "t", Role: auth.RoleTeacher}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := a.call("GET", "/api/admin/audit", teacher, ""); status != 403 {
		t.Errorf("a teacher reads the log: %d", status)
	}
}

// as returns an access token.
func (a *api) as(id auth.Identity) string {
	a.t.Helper()
	token, err := a.issuer.Mint(id, time.Minute)
	if err != nil {
		a.t.Fatal(err)
	}
	return token
}

func (a *api) entries() int64 {
	a.t.Helper()
	_, total, err := a.log.List(a.t.Context(), 1, 1)
	if err != nil {
		a.t.Fatal(err)
	}
	return total
}

func TestC32DisabledUserIsShutOut(t *testing.T) {
	a := newAPI(t)
	ada := a.user("ada@example.org")
	path, session := "/api/admin/users/"+ada.ID, a.login("ada@example.org")
	change := func(body string) accounts.User {
		status, answer := a.call("PATCH", path, a.as(admin), body)
		if status != 200 {
			t.Fatalf("%s: %d %s", body, status, answer)
		}
		return data[accounts.User](t, answer)
	}
	if u := change(`{"disabled":true}`); !u.Disabled || u.Role != auth.RoleTeacher {
		t.Errorf("disabled: %+v", u)
	}
	change(`{"disabled":true}`)
	if status, _ := a.refresh(session.RefreshToken); status != 401 {
		t.Errorf("the session goes on: %d", status)
	}
	login := `{"email":"ada@example.org","password":"` + password + `"}`
	if status, body := a.call("POST", "/api/auth/token", "", login); status != 401 {
		t.Errorf("login: %d %s", status, body)
	}
	own := `{"password":"` + password + `","newPassword":"another horse battery"}`
	if status, body := a.call("PUT", "/api/auth/password", session.AccessToken, own); status != 403 {
		t.Errorf("a new password: %d %s", status, body)
	}
	if u := change(`{"disabled":false}`); u.Disabled {
		t.Errorf("enabled: %+v", u)
	}
	if status, _ := a.refresh(session.RefreshToken); status != 401 {
		t.Errorf("the ended session came back: %d", status)
	}
	a.login("ada@example.org")
	if u := change(`{"role":"user"}`); u.Role != auth.RoleUser || u.Disabled {
		t.Errorf("another role: %+v", u)
	}
}

func TestC32PasswordChangeEndsOtherSessions(t *testing.T) {
	a := newAPI(t)
	a.user("ada@example.org")
	first, other := a.login("ada@example.org"), a.login("ada@example.org")
	change := func(present, next string) (int, []byte) {
		return a.call("PUT", "/api/auth/password", first.AccessToken, `{"password":"`+present+`","newPassword":"`+next+`"}`)
	}
	for name, tc := range map[string]struct{ present, next, field string }{
		"a wrong present password": {"wrong", "another horse battery", "password"},
		"a short new password":     {password, "short", "newPassword"},
	} {
		status, body := change(tc.present, tc.next)
		var refused httpapi.ErrorEnvelope
		if err := json.Unmarshal(body, &refused); err != nil || status != 400 || len(refused.Details) != 1 || refused.Details[0].Field != tc.field {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, _ := a.refresh(other.RefreshToken); status != 200 {
		t.Errorf("a refused change ended a session: %d", status)
	}
	status, body := change(password, "another horse battery")
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	fresh := data[accounts.Tokens](t, body)
	for name, tc := range map[string]struct {
		token string
		want  int
	}{
		"the session that asked": {first.RefreshToken, 401},
		"another session":        {other.RefreshToken, 401},
		"the new session":        {fresh.RefreshToken, 200},
	} {
		if status, _ := a.refresh(tc.token); status != tc.want {
			t.Errorf("%s: %d, want %d", name, status, tc.want)
		}
	}
	if status, _ := a.call("POST", "/api/auth/token", "", `{"email":"ada@example.org","password":"`+password+`"}`); status != 401 {
		t.Errorf("the old password: %d", status)
	}
	if status, _ := a.call("POST", "/api/auth/token", "", `{"email":"ada@example.org","password":"another horse battery"}`); status != 200 {
		t.Errorf("the new password: %d", status)
	}
	nobody := a.as(auth.Identity{ID: "alice", Role: auth.RoleUser})
	if status, _ := a.call("PUT", "/api/auth/password", nobody, `{"password":"x","newPassword":"another horse battery"}`); status != 404 {
		t.Errorf("a caller without a password: %d", status)
	}
}

func TestUserChangeRefusals(t *testing.T) {
	a := newAPI(t)
	ada := a.user("ada@example.org")
	root, err := a.users.Create(t.Context(), admin, accounts.NewUser{Email: "root@example.org", Role: auth.RoleAdmin, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	before := a.entries()
	for name, tc := range map[string]struct {
		caller     auth.Identity
		path, body string
		status     int
	}{
		"a teacher":                    {auth.Identity{ID: ada.ID, Role: auth.RoleTeacher}, ada.ID, `{"role":"admin"}`, 403},
		"nobody's ID":                  {admin, uuid.NewString(), `{"disabled":true}`, 404},
		"what is no ID":                {admin, "ada", `{"disabled":true}`, 400},
		"nothing":                      {admin, ada.ID, `{}`, 400},
		"an unknown role":              {admin, ada.ID, `{"role":"king"}`, 400},
		"a short password":             {admin, ada.ID, `{"password":"short"}`, 400},
		"an unknown field":             {admin, ada.ID, `{"email":"x@example.org"}`, 400},
		"disabling oneself":            {auth.Identity{ID: root.ID, Role: auth.RoleAdmin}, root.ID, `{"disabled":true}`, 409},
		"giving up the rights oneself": {auth.Identity{ID: root.ID, Role: auth.RoleAdmin}, root.ID, `{"role":"user"}`, 409},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := a.call("PATCH", "/api/admin/users/"+tc.path, a.as(tc.caller), tc.body); status != tc.status {
				t.Errorf("%d %s, want %d", status, body, tc.status)
			}
		})
	}
	if after := a.entries(); after != before {
		t.Errorf("%d refused acts were recorded", after-before)
	}
}

func TestListUsers(t *testing.T) {
	a := newAPI(t)
	ada, bea := a.user("ada@example.org"), a.user("bea@example.org")
	for query, want := range map[string][]accounts.User{
		"":                       {bea, ada},
		"?limit=1&page=2":        {ada},
		"?email=ADA@example.org": {ada},
		"?email=eve@example.org": {},
	} {
		status, body := a.call("GET", "/api/admin/users"+query, a.as(admin), "")
		if diff := cmp.Diff(want, data[[]accounts.User](t, body)); diff != "" || status != 200 {
			t.Errorf("%q: %d (-want +got):\n%s", query, status, diff)
		}
	}
	if status, _ := a.call("GET", "/api/admin/users", a.as(auth.Identity{ID: ada.ID, Role: auth.RoleTeacher}), ""); status != 403 {
		t.Errorf("a teacher lists users: %d", status)
	}
}

// An act and its entry are one: whatever fails, there is neither.
func TestAuditEntryAndActAreOne(t *testing.T) {
	for name, broken := range map[string]string{
		"the entry fails": `alter table audit_log add constraint broken check (action <> 'user.update')`,
		"the act fails":   `alter table users add constraint broken check (disabled_at is null)`,
		"the commit fails": `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
			create constraint trigger broken after insert on audit_log deferrable initially deferred for each row execute function refuse()`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			ada := a.user("ada@example.org")
			if _, err := a.db.Direct("test.break", broken).Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := a.entries()
			if status, body := a.call("PATCH", "/api/admin/users/"+ada.ID, a.as(admin), `{"disabled":true}`); status < 400 {
				t.Errorf("%d %s", status, body)
			}
			if after := a.entries(); after != before {
				t.Errorf("%d entries of what was not done", after-before)
			}
			a.login("ada@example.org")
		})
	}
}
