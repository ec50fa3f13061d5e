// Package accounts owns who may log in: users with their passwords and roles, and the sessions that a login begins. It
// hands out access tokens of a quarter of an hour, and refresh tokens that are good for one use each. It does not
// decide what a user may do.
package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Lives of tokens.
// Lives are how long tokens are good. Both are positive.
type Lives struct {
	// Access is how long an access token is good; it cannot be revoked before.
	Access time.Duration
	// Refresh is how long a refresh token waits to be used.
	Refresh time.Duration
}

// Grace is how long a used refresh token may be used again, for a client to which the answer was lost.
const Grace = 10 * time.Second

// Lengths of a password, in characters.
const (
	MinPassword = 12
	MaxPassword = 256
)

// User is somebody who may log in.
type User struct {
	// ID is a UUID in lower case; access tokens carry it as their subject.
	ID string `json:"id"`
	// Email is as it was given; no two users have the same one in any case.
	Email     string    `json:"email"`
	Role      auth.Role `json:"role"`
	CreatedAt time.Time `json:"createdAt"`
}

// NewUser is what is needed to make a user.
type NewUser struct {
	Email    string    `json:"email" validate:"required,email,max=254"`
	Role     auth.Role `json:"role" validate:"required,oneof=user teacher admin"`
	Password string    `json:"password" validate:"required,min=12,max=256"`
}

// ErrAbsent is what a Repository returns for a user that is not there.
var ErrAbsent = errors.New("user absent")

// Repository keeps users and the hashes of refresh tokens. Errors other than ErrAbsent are faults.
type Repository interface {
	// Insert adds a user. A second one with the same ID changes nothing; one with the same e-mail address is a Conflict.
	Insert(ctx context.Context, u User, passwordHash string) (User, error)
	// ByID returns a user or ErrAbsent.
	ByID(ctx context.Context, id string) (User, error)
	// ByEmail returns a user and the hash of the password, or ErrAbsent. The case of the address does not matter.
	ByEmail(ctx context.Context, email string) (User, string, error)
	// Begin adds the first refresh token of a new family.
	Begin(ctx context.Context, userID, family string, hash []byte, life time.Duration) error
	// Rotate uses a token and adds its successor. It returns the user, or ErrAbsent if the token is unknown, expired or
	// revoked, or was used before and is beyond the grace, in which case its whole family is revoked.
	Rotate(ctx context.Context, hash, successor []byte, life, grace time.Duration) (User, error)
	// Revoke ends the family of a token; it does nothing if there is none.
	Revoke(ctx context.Context, hash []byte) error
	// Sweep removes what has expired.
	Sweep(ctx context.Context) error
}

// Minter makes access tokens; auth.Issuer is one.
type Minter interface {
	Mint(id auth.Identity, ttl time.Duration) (string, error)
}

// Accounts are the operations on users and sessions. They may be used by many goroutines.
type Accounts struct {
	repo   Repository
	minter Minter
	log    audit.Recorder
	newID  func() string
	lives  func() Lives
	hasher *hasher
}

// New returns accounts. newID returns a random UUID in lower case; lives is asked each time that tokens are issued.
func New(repo Repository, minter Minter, log audit.Recorder, newID func() string, lives func() Lives) *Accounts {
	return &Accounts{repo: repo, minter: minter, log: log, newID: newID, lives: lives, hasher: newHasher()}
}

// Create makes a user in the name of an admin. It is not idempotent. Faults: Denied, Invalid, Conflict.
func (a *Accounts) Create(ctx context.Context, caller auth.Identity, n NewUser) (User, error) {
	if !caller.IsAdmin() {
		return User{}, fault.New(fault.Denied, "Only an admin may make users")
	}
	n.Email = strings.TrimSpace(n.Email)
	if details := check(n); len(details) > 0 {
		return User{}, fault.InvalidInput("Validation failed", details...)
	}
	u := User{ID: a.newID(), Email: n.Email, Role: n.Role}
	event := audit.Event{Actor: caller, Action: "user.create", Target: u.ID, Details: map[string]any{"role": n.Role}}
	if err := a.log.Record(ctx, event); err != nil {
		return User{}, err
	}
	hash, err := a.hasher.hash(ctx, n.Password)
	if err != nil {
		return User{}, err
	}
	made, err := a.repo.Insert(ctx, u, hash)
	if fault.CodeOf(err) == fault.Conflict {
		return User{}, fault.Wrap(fault.Conflict, "There is a user with this e-mail address already", err)
	}
	return made, err
}

func check(n NewUser) []fault.Detail {
	var details []fault.Detail
	fail := func(field, code, message string) {
		details = append(details, fault.Detail{Field: field, Code: code, Message: message})
	}
	if parsed, err := mail.ParseAddress(n.Email); err != nil || parsed.Address != n.Email || len(n.Email) > 254 || strings.ContainsRune(n.Email, 0) {
		fail("email", "email", "must be an e-mail address of at most 254 bytes")
	}
	if !n.Role.Valid() {
		fail("role", "one_of", "must be one of user, teacher, admin")
	}
	switch length := utf8.RuneCountInString(n.Password); {
	case !utf8.ValidString(n.Password):
		fail("password", "text", "must be text in UTF-8")
	case length < MinPassword:
		fail("password", "min", fmt.Sprintf("must have at least %d characters", MinPassword))
	case length > MaxPassword:
		fail("password", "max", fmt.Sprintf("must have at most %d characters", MaxPassword))
	}
	return details
}
