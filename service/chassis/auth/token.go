package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// leeway is how far the clocks of issuer and verifier may be apart.
const leeway = 15 * time.Second

// maxToken bounds the work that an unverified token can cause, in bytes.
const maxToken = 8 << 10

// MaxSubject is the greatest length of a subject in characters; owners are stored under it.
const MaxSubject = 128

// Claims are the claims of an access token.
type Claims struct {
	jwt.RegisteredClaims
	// Role is the caller's role; a token without it is a user's.
	Role Role `json:"role,omitempty"`
}

// Policy says what a token must claim besides a subject and an expiry.
type Policy struct {
	// Issuer is the required iss claim; empty means any.
	Issuer string
	// Audience is the required aud claim; empty means any.
	Audience string
}

// Verifier checks access tokens: HS256 only, signed by a key in force, not expired, issuer and audience as the policy
// wants. It may be used by many goroutines.
type Verifier struct {
	keys     *Keys
	parser   *jwt.Parser
	verified verified
}

// NewVerifier returns a verifier.
func NewVerifier(keys *Keys, policy Policy) *Verifier {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(), // one token has one spelling
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(keys.now),
	}
	if policy.Issuer != "" {
		options = append(options, jwt.WithIssuer(policy.Issuer))
	}
	if policy.Audience != "" {
		options = append(options, jwt.WithAudience(policy.Audience))
	}
	return &Verifier{keys: keys, parser: jwt.NewParser(options...)}
}

// Verify returns the identity that the token proves. Its errors say for the log what is wrong; they are not for clients.
func (v *Verifier) Verify(token string) (Identity, error) {
	if len(token) > maxToken {
		return Identity{}, errors.New("verifying token: too long")
	}
	now := v.keys.now()
	inForce := v.keys.inForce(now)
	if id, ok := v.verified.find(token, inForce, now); ok {
		return id, nil
	}
	var claims Claims
	if _, err := v.parser.ParseWithClaims(token, &claims, v.keysFor); err != nil {
		return Identity{}, fmt.Errorf("verifying token: %w", err)
	}
	id, err := identityOf(claims)
	if err == nil {
		v.verified.keep(token, inForce, verdict{id: id, until: claims.ExpiresAt.Time})
	}
	return id, err
}

// keysFor picks the key that the token names. A token that names none, or one that is not in force, is tried with all.
func (v *Verifier) keysFor(token *jwt.Token) (any, error) {
	all := v.keys.all()
	kid, _ := token.Header["kid"].(string)
	set := jwt.VerificationKeySet{Keys: make([]jwt.VerificationKey, 0, len(all))}
	for _, k := range all {
		if k.id == kid {
			return k.secret, nil
		}
		set.Keys = append(set.Keys, k.secret)
	}
	return set, nil
}

func identityOf(c Claims) (Identity, error) {
	if err := checkSubject(c.Subject); err != nil {
		return Identity{}, fmt.Errorf("verifying token: %w", err)
	}
	role := c.Role
	if role == "" {
		role = RoleUser
	}
	if !role.Valid() {
		return Identity{}, errors.New("verifying token: the role is not known")
	}
	return Identity{ID: c.Subject, Role: role}, nil
}

func checkSubject(subject string) error {
	n := utf8.RuneCountInString(subject)
	if n < 1 || n > MaxSubject || !utf8.ValidString(subject) || strings.ContainsFunc(subject, unicode.IsControl) {
		return fmt.Errorf("the subject must be a text of 1 to %d characters", MaxSubject)
	}
	return nil
}

// Issuer mints access tokens, for development and tests.
type Issuer struct {
	keys   *Keys
	policy Policy
}

// NewIssuer returns an issuer whose tokens a Verifier with the same keys and policy accepts.
func NewIssuer(keys *Keys, policy Policy) *Issuer { return &Issuer{keys: keys, policy: policy} }

// Mint returns a token for the identity that expires after ttl, which is positive.
func (i *Issuer) Mint(id Identity, ttl time.Duration) (string, error) {
	if err := checkSubject(id.ID); err != nil {
		return "", fmt.Errorf("minting token: %w", err)
	}
	if !id.Role.Valid() {
		return "", fmt.Errorf("minting token: the role %q is none of %v", id.Role, Roles())
	}
	if ttl <= 0 {
		return "", fmt.Errorf("minting token: the time to live %s is not positive", ttl)
	}
	now := i.keys.now()
	claims := Claims{Role: id.Role, RegisteredClaims: jwt.RegisteredClaims{
		Subject:   id.ID,
		Issuer:    i.policy.Issuer,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	}}
	if i.policy.Audience != "" {
		claims.Audience = jwt.ClaimStrings{i.policy.Audience}
	}
	current := i.keys.all()[0]
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["kid"] = current.id
	signed, err := token.SignedString(current.secret)
	if err != nil {
		return "", fmt.Errorf("minting token: %w", err)
	}
	return signed, nil
}
