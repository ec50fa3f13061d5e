package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// tokenLen is how many random bytes a refresh token has.
const tokenLen = 32

// Credentials are what a login needs.
type Credentials struct {
	Email    string `json:"email" validate:"required,max=254"`
	Password string `json:"password" validate:"required,max=256"`
}

// Refresh is what a client shows to go on with a session, or to end it.
type Refresh struct {
	RefreshToken string `json:"refreshToken" validate:"required,max=128"`
}

// Tokens are what a client needs to act for a user.
type Tokens struct {
	AccessToken string `json:"accessToken"`
	// TokenType is always Bearer.
	TokenType string `json:"tokenType"`
	// ExpiresIn is the life of the access token in seconds.
	ExpiresIn int `json:"expiresIn"`
	// RefreshToken is good for one use.
	RefreshToken string `json:"refreshToken"`
	// RefreshExpiresIn is how many seconds it waits for that.
	RefreshExpiresIn int `json:"refreshExpiresIn"`
}

// Login begins a session. It is not idempotent. It answers the same, and as late, whether the user does not exist, is disabled, or
// the password is wrong. Faults: Unauthenticated, and Unavailable when too many log in at once.
func (a *Accounts) Login(ctx context.Context, c Credentials) (Tokens, error) {
	user, hash, err := a.find(ctx, c)
	absent := errors.Is(err, ErrAbsent)
	if err != nil && !absent {
		return Tokens{}, err
	}
	if absent {
		hash = a.hasher.nobody
	}
	absent = absent || user.Disabled
	password := c.Password
	if utf8.RuneCountInString(password) > MaxPassword {
		password, absent = "", true
	}
	matches, err := a.hasher.matches(ctx, hash, password)
	if err != nil {
		return Tokens{}, err
	}
	const wrong = "The e-mail address or the password is wrong"
	if absent || !matches {
		return Tokens{}, fault.New(fault.Unauthenticated, wrong)
	}
	tokens, err := a.begin(ctx, user.ID, hash)
	if errors.Is(err, ErrAbsent) { // the password was changed since it was compared
		return Tokens{}, fault.New(fault.Unauthenticated, wrong)
	}
	return tokens, err
}

// begin begins a session, or returns ErrAbsent unless the user still has the password that was hashed.
func (a *Accounts) begin(ctx context.Context, userID, passwordHash string) (Tokens, error) {
	token, hash := newToken()
	lives := a.lives()
	user, err := a.repo.Begin(ctx, userID, passwordHash, Token{Family: a.newID(), Hash: hash, Life: lives.Refresh})
	if err != nil {
		return Tokens{}, err
	}
	return a.tokens(user, token, lives)
}

// find looks the user up; an address that cannot be anybody's is not asked for.
func (a *Accounts) find(ctx context.Context, c Credentials) (User, string, error) {
	const maxEmail = 254
	if c.Email == "" || len(c.Email) > maxEmail || !utf8.ValidString(c.Email) || strings.ContainsRune(c.Email, 0) {
		return User{}, "", ErrAbsent
	}
	return a.repo.ByEmail(ctx, c.Email)
}

// Refresh exchanges a refresh token for new tokens. A token that was used before ends its whole session, since one of
// the two who used it stole it; within the grace it is taken for a lost answer instead, unless that answer was used as
// well. Faults: Unauthenticated.
func (a *Accounts) Refresh(ctx context.Context, r Refresh) (Tokens, error) {
	hash, ok := hashOf(r.RefreshToken)
	if !ok {
		return Tokens{}, refused()
	}
	token, successor := newToken()
	lives := a.lives()
	user, err := a.repo.Rotate(ctx, hash, successor, lives.Refresh, Grace)
	if errors.Is(err, ErrAbsent) {
		return Tokens{}, refused()
	}
	if err != nil {
		return Tokens{}, err
	}
	return a.tokens(user, token, lives)
}

// Logout ends the session of a refresh token. It is idempotent, and does not tell whether there was one.
func (a *Accounts) Logout(ctx context.Context, r Refresh) error {
	hash, ok := hashOf(r.RefreshToken)
	if !ok {
		return nil
	}
	return a.repo.Revoke(ctx, hash)
}

// Me is what a caller may know of itself.
type Me struct {
	ID   string    `json:"id"`
	Role auth.Role `json:"role"`
	// Email is null for a caller whose token was not made by a login.
	Email *string `json:"email"`
}

// Me returns the caller. Faults: Unauthenticated.
func (a *Accounts) Me(ctx context.Context, caller auth.Identity) (Me, error) {
	if caller.IsAnonymous() {
		return Me{}, fault.New(fault.Unauthenticated, "This needs an access token")
	}
	me := Me{ID: caller.ID, Role: caller.Role}
	user, err := a.repo.ByID(ctx, caller.ID)
	switch {
	case errors.Is(err, ErrAbsent):
		return me, nil
	case err != nil:
		return Me{}, err
	}
	me.Email = &user.Email
	return me, nil
}

// Sweep removes sessions that have expired.
func (a *Accounts) Sweep(ctx context.Context) error { return a.repo.Sweep(ctx) }

func refused() error {
	return fault.New(fault.Unauthenticated, "The refresh token is invalid, expired or already used; log in again")
}

func (a *Accounts) tokens(u User, refresh string, lives Lives) (Tokens, error) {
	access, err := a.minter.Mint(auth.Identity{ID: u.ID, Role: u.Role}, lives.Access)
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{
		AccessToken: access, TokenType: "Bearer", ExpiresIn: seconds(lives.Access),
		RefreshToken: refresh, RefreshExpiresIn: seconds(lives.Refresh),
	}, nil
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// newToken returns a refresh token and the hash under which it is kept. The token is random throughout, so a plain hash
// protects it.
func newToken() (token string, hash []byte) {
	raw := make([]byte, tokenLen)
	// crypto/rand never returns an error; it ends the program when the system has no randomness.
	_, _ = rand.Read(raw)
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(raw), sum[:]
}

// hashOf is false for a text that cannot be a token of ours.
func hashOf(token string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenLen {
		return nil, false
	}
	sum := sha256.Sum256(raw)
	return sum[:], true
}
