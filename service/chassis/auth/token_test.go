package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

// signed returns a token with claims as they come, for what Issuer would not mint.
func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keyID(t *testing.T, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := parsed.Header["kid"].(string)
	return id
}

func TestVerify(t *testing.T) {
	c := newClock()
	keys := newTestKeys(t, c, secret.FromValue(secretA), secret.FromValue(secretB))
	verifier := NewVerifier(keys, Policy{Issuer: "https://id.example.com", Audience: "scores"})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	valid := func(changes ...any) jwt.MapClaims {
		claims := jwt.MapClaims{
			"sub": "alice", "role": "teacher", "iss": "https://id.example.com", "aud": "scores", "exp": c.at.Add(time.Hour).Unix(),
		}
		for i := 0; i < len(changes); i += 2 {
			if changes[i+1] == nil {
				delete(claims, changes[i].(string))
				continue
			}
			claims[changes[i].(string)] = changes[i+1]
		}
		return claims
	}
	hs256 := func(claims jwt.MapClaims) string { return signed(t, jwt.SigningMethodHS256, []byte(secretA), claims) }
	alice := Identity{ID: "alice", Role: RoleTeacher}

	for name, tc := range map[string]struct {
		token   string
		want    Identity
		refused error // nil with the zero want: any error
	}{
		"a valid token is accepted":                    {token: hs256(valid()), want: alice},
		"the previous secret still verifies":           {token: signed(t, jwt.SigningMethodHS256, []byte(secretB), valid()), want: alice},
		"one audience of several is enough":            {token: hs256(valid("aud", []string{"other", "scores"})), want: alice},
		"a token without a role is a user's":           {token: hs256(valid("role", nil)), want: Identity{ID: "alice", Role: RoleUser}},
		"clocks may be apart a little":                 {token: hs256(valid("exp", c.at.Add(-leeway+time.Second).Unix())), want: alice},
		"an expired token is refused":                  {token: hs256(valid("exp", c.at.Add(-leeway-time.Second).Unix())), refused: jwt.ErrTokenExpired},
		"a token without an expiry is refused":         {token: hs256(valid("exp", nil)), refused: jwt.ErrTokenRequiredClaimMissing},
		"a token for later is refused":                 {token: hs256(valid("nbf", c.at.Add(time.Minute).Unix())), refused: jwt.ErrTokenNotValidYet},
		"another issuer is refused":                    {token: hs256(valid("iss", "https://evil.example.com")), refused: jwt.ErrTokenInvalidIssuer},
		"a missing issuer is refused":                  {token: hs256(valid("iss", nil)), refused: jwt.ErrTokenRequiredClaimMissing},
		"another audience is refused":                  {token: hs256(valid("aud", "other")), refused: jwt.ErrTokenInvalidAudience},
		"another key is refused":                       {token: signed(t, jwt.SigningMethodHS256, []byte(strings.Repeat("k", 40)), valid()), refused: jwt.ErrTokenSignatureInvalid},
		"alg none is refused":                          {token: signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, valid()), refused: jwt.ErrTokenSignatureInvalid},
		"another HMAC with the right key is refused":   {token: signed(t, jwt.SigningMethodHS512, []byte(secretA), valid()), refused: jwt.ErrTokenSignatureInvalid},
		"an asymmetric signature is refused":           {token: signed(t, jwt.SigningMethodRS256, rsaKey, valid()), refused: jwt.ErrTokenSignatureInvalid},
		"a token without a subject is refused":         {token: hs256(valid("sub", nil))},
		"an overlong subject is refused":               {token: hs256(valid("sub", strings.Repeat("x", MaxSubject+1)))},
		"a subject with control characters is refused": {token: hs256(valid("sub", "a\x00b"))},
		"an unknown role is refused":                   {token: hs256(valid("role", "root"))},
		"a role of another type is refused":            {token: hs256(valid("role", 7)), refused: jwt.ErrTokenMalformed},
		"an overlong token is refused":                 {token: hs256(valid("pad", strings.Repeat("x", maxToken)))},
		"what is no token is refused":                  {token: "not.a.token", refused: jwt.ErrTokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := verifier.Verify(tc.token)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
			if refused := tc.want == (Identity{}); (err != nil) != refused || (tc.refused != nil && !errors.Is(err, tc.refused)) {
				t.Errorf("error = %v, want %v", err, tc.refused)
			}
		})
	}
}

func TestMint(t *testing.T) {
	keys := newTestKeys(t, newClock(), secret.FromValue(secretA), secret.Source{})
	policy := Policy{Issuer: "me", Audience: "you"}
	for name, tc := range map[string]struct {
		id      Identity
		ttl     time.Duration
		wantErr bool
	}{
		"a user's token verifies":         {id: Identity{ID: "alice", Role: RoleUser}, ttl: time.Minute},
		"an admin's token verifies":       {id: Identity{ID: "root", Role: RoleAdmin}, ttl: time.Minute},
		"a role that is unknown is named": {id: Identity{ID: "alice", Role: "king"}, ttl: time.Minute, wantErr: true},
		"a subject is required":           {id: Identity{Role: RoleUser}, ttl: time.Minute, wantErr: true},
		"a time to live is positive":      {id: Identity{ID: "alice", Role: RoleUser}, wantErr: true},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := NewIssuer(keys, policy).Mint(tc.id, tc.ttl)
			if (err != nil) != tc.wantErr {
				t.Fatalf("error = %v, want one: %t", err, tc.wantErr)
			}
			if tc.wantErr {
				return
			}
			got, err := NewVerifier(keys, policy).Verify(token)
			if err != nil || got != tc.id {
				t.Errorf("verified as %v, %v, want %v", got, err, tc.id)
			}
		})
	}
}
