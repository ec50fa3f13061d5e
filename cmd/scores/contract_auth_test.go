package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

// signed makes a token of claims that need not be good ones.
func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims are good ones, changed; a nil value takes a claim away.
func claims(change jwt.MapClaims) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"sub": "alice", "email": "alice@example.org", "name": "Alice", "role": "user",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "iss": "mirubato", "aud": "scores",
	}
	for name, value := range change {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

func TestC30TokensAreBearerAndHS256(t *testing.T) {
	l := open(t, nil)
	good := signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(nil))
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const missing, invalid = "Missing or invalid authorization header", "The access token is invalid or has expired"
	for name, tc := range map[string]struct {
		header string
		want   string // the message of a 401, "" for 200
	}{
		"a good token":                  {header: "Bearer " + good},
		"the scheme in another case":    {header: "bearer " + good},
		"nothing":                       {want: missing},
		"no scheme":                     {header: good, want: missing},
		"another scheme":                {header: "Basic " + good, want: missing},
		"a scheme alone":                {header: "Bearer ", want: missing},
		"no token":                      {header: "Bearer x", want: invalid},
		"a token with more behind it":   {header: "Bearer " + good + ".x", want: invalid},
		"a spoilt signature":            {header: "Bearer " + good[:len(good)-4] + "AAAA", want: invalid},
		"no signature":                  {header: "Bearer " + good[:strings.LastIndex(good, ".")+1], want: invalid},
		"the algorithm none":            {header: "Bearer " + signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)), want: invalid},
		"HS384":                         {header: "Bearer " + signed(t, jwt.SigningMethodHS384, []byte(testSecret), claims(nil)), want: invalid},
		"HS512":                         {header: "Bearer " + signed(t, jwt.SigningMethodHS512, []byte(testSecret), claims(nil)), want: invalid},
		"RS256":                         {header: "Bearer " + signed(t, jwt.SigningMethodRS256, foreign, claims(nil)), want: invalid},
		"another secret":                {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(strings.ToUpper(testSecret)), claims(nil)), want: invalid},
		"a role that does not exist":    {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"role": "king"})), want: invalid},
		"a role of another type":        {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"role": []string{"admin"}})), want: invalid},
		"a subject of nothing":          {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"sub": ""})), want: invalid},
		"no subject":                    {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"sub": nil})), want: invalid},
		"a subject with a null byte":    {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"sub": "a\x00b"})), want: invalid},
		"a subject beyond all measure":  {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"sub": strings.Repeat("x", 129)})), want: invalid},
		"a token of more than 8192":     {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"name": strings.Repeat("x", 8192)})), want: invalid},
		"no role, which makes a user":   {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"role": nil}))},
		"a role by the name of teacher": {header: "Bearer " + signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"role": "teacher"}))},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.send(t, "GET", l.api+"/api/auth/me", "", "Authorization", tc.header)
			if tc.want == "" {
				got.is(t, 200, "")
				return
			}
			if message := got.is(t, 401, "AUTHENTICATION_ERROR").object(t)["error"]; message != tc.want {
				t.Errorf("%s, want %s", got.body, tc.want)
			}
			if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			if tc.header != "" {
				l.send(t, "GET", l.api+"/api/scores", "", "Authorization", tc.header).is(t, 401, "AUTHENTICATION_ERROR")
			}
		})
	}
}

func TestC31TokensEndAndAreForUs(t *testing.T) {
	l := open(t, func(c *Config) { c.Tokens = auth.Policy{Issuer: "mirubato", Audience: "scores"} })
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	for name, tc := range map[string]struct {
		change jwt.MapClaims
		status int
	}{
		"good claims":             {nil, 200},
		"no end":                  {jwt.MapClaims{"exp": nil}, 401},
		"an end just now":         {jwt.MapClaims{"exp": ago(2 * time.Second)}, 200},
		"an end 30 s ago":         {jwt.MapClaims{"exp": ago(30 * time.Second)}, 401},
		"an end that is a text":   {jwt.MapClaims{"exp": "tomorrow"}, 401},
		"a beginning in a minute": {jwt.MapClaims{"nbf": ago(-time.Minute)}, 401},
		"another issuer":          {jwt.MapClaims{"iss": "else"}, 401},
		"no issuer":               {jwt.MapClaims{"iss": nil}, 401},
		"another audience":        {jwt.MapClaims{"aud": "dictionary"}, 401},
		"no audience":             {jwt.MapClaims{"aud": nil}, 401},
		"us among the audience":   {jwt.MapClaims{"aud": []string{"dictionary", "scores"}}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			token := signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(tc.change))
			got := l.send(t, "GET", l.api+"/api/auth/me", "", "Authorization", "Bearer "+token)
			if got.status != tc.status || strings.Contains(got.body, "signature") || strings.Contains(got.body, "claim") {
				t.Errorf("%d %s, want %d and no reason", got.status, got.body, tc.status)
			}
		})
	}
}

func TestC31BothSecretsHoldDuringRotation(t *testing.T) {
	const before = "the signing secret of before, long enough"
	l := open(t, func(c *Config) { c.JWTPrevious = secret.FromValue(before) })
	for key, status := range map[string]int{testSecret: 200, before: 200, before + "x": 401} {
		token := signed(t, jwt.SigningMethodHS256, []byte(key), claims(nil))
		l.send(t, "GET", l.api+"/api/auth/me", "", "Authorization", "Bearer "+token).is(t, status, "")
	}
}

func TestC32SessionOverHTTP(t *testing.T) {
	l := open(t, nil)
	const person = `{"email":"bea@example.org","role":"teacher","password":"correct horse battery"}`
	l.as(t, admin, "POST", "/api/admin/users", person).is(t, 201, "")
	login := func(password string) reply {
		return l.as(t, nobody, "POST", "/api/auth/token", `{"email":"BEA@example.org","password":"`+password+`"}`)
	}
	login("wrong horse battery").is(t, 401, "AUTHENTICATION_ERROR")
	first := login("correct horse battery").is(t, 200, "").data(t)
	if first["expiresIn"] != 900.0 || first["tokenType"] != "Bearer" {
		t.Errorf("%v", first)
	}
	access, _ := first["accessToken"].(string)
	me := l.send(t, "GET", l.api+"/api/auth/me", "", "Authorization", "Bearer "+access).is(t, 200, "").data(t)
	if me["email"] != "bea@example.org" || me["role"] != "teacher" {
		t.Errorf("%v", me)
	}
	exchange := func(path string, tokens map[string]any) reply {
		body, err := json.Marshal(map[string]any{"refreshToken": tokens["refreshToken"]})
		if err != nil {
			t.Fatal(err)
		}
		return l.as(t, nobody, "POST", path, string(body))
	}
	second := exchange("/api/auth/refresh", first).is(t, 200, "").data(t)
	if second["refreshToken"] == first["refreshToken"] {
		t.Error("the refresh token stays the same")
	}
	// The first one was used; the grace for a lost answer is over once time has passed.
	runSQL(t, l.database, "update refresh_tokens set used_at = used_at - interval '1 minute' where used_at is not null")
	exchange("/api/auth/refresh", first).is(t, 401, "AUTHENTICATION_ERROR")
	exchange("/api/auth/refresh", second).is(t, 401, "AUTHENTICATION_ERROR")
	third := login("correct horse battery").is(t, 200, "").data(t)
	exchange("/api/auth/logout", third).is(t, 204, "")
	exchange("/api/auth/refresh", third).is(t, 401, "AUTHENTICATION_ERROR")
	for _, hidden := range []string{"correct horse", access, first["refreshToken"].(string)} {
		if strings.Contains(l.log.String(), hidden) {
			t.Error("the log holds a password or token")
		}
	}
}

func TestC33RolesDecide(t *testing.T) {
	l := open(t, nil)
	for visibility, wants := range map[string]map[auth.Identity][2]int{ // read, change
		"private":  {alice: {200, 200}, bob: {404, 404}, teacher: {404, 404}, admin: {200, 200}, nobody: {404, 401}},
		"unlisted": {alice: {200, 200}, bob: {200, 403}, teacher: {200, 403}, admin: {200, 200}, nobody: {200, 401}},
		"public":   {alice: {200, 200}, bob: {200, 403}, teacher: {200, 403}, admin: {200, 200}, nobody: {200, 401}},
	} {
		path := l.added(t, alice, `{"title":"Hers","visibility":"`+visibility+`"}`)
		for caller, want := range wants {
			got := [2]int{
				l.as(t, caller, http.MethodGet, path, "").status,
				l.as(t, caller, http.MethodPut, path, `{"title":"Changed"}`).status,
			}
			if got != want {
				t.Errorf("%s, %q: %v, want %v", visibility, caller.ID, got, want)
			}
		}
	}
	for caller, status := range map[auth.Identity]int{nobody: 401, alice: 403, teacher: 403, admin: 200} {
		l.as(t, caller, http.MethodGet, "/api/admin/audit", "").is(t, status, "")
	}
	// An address of the administrators' makes nobody one of them.
	token := signed(t, jwt.SigningMethodHS256, []byte(testSecret), claims(jwt.MapClaims{"email": "root@mirubato.com", "roles": []string{"admin"}, "admin": true}))
	l.send(t, http.MethodGet, l.api+"/api/admin/audit", "", "Authorization", "Bearer "+token).is(t, 403, "AUTHORIZATION_ERROR")
}

func TestC34PrivateScoresAnswerLikeNone(t *testing.T) {
	l := open(t, nil)
	hers := l.added(t, alice, `{"title":"Hers"}`)
	none := l.added(t, alice, `{"title":"Gone"}`)
	l.as(t, alice, http.MethodDelete, none, "").is(t, 204, "")
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		var answers []map[string]any
		for _, path := range []string{hers, none} {
			body := ""
			if method == http.MethodPut {
				body = `{"title":"His"}`
			}
			got := l.as(t, bob, method, path, body, "If-Match", `"1"`).is(t, 404, "NOT_FOUND").object(t)
			delete(got, "requestId")
			answers = append(answers, got)
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			t.Errorf("%s tells a private score from none:\n%s", method, diff)
		}
	}
}
