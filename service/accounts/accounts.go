// Package accounts owns who may log in: users with their passwords and roles, and the sessions that a login begins. It
// hands out access tokens of a quarter of an hour, and refresh tokens that are good for one use each. It does not
// decide what a user may do.
package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
)

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
	Email string    `json:"email"`
	Role  auth.Role `json:"role"`
	// Disabled users cannot log in, nor go on with a session.
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"createdAt"`
}

// Update is what changes of a user; zero leaves a field as it is.
type Update struct {
	Role     *auth.Role
	Disabled *bool
	// PasswordHash is of the next password.
	PasswordHash string
	// PresentHash, unless empty, is of the password that the user must still have.
	PresentHash string
}

// Token is a refresh token to be kept.
type Token struct {
	// Family is the session, a random UUID.
	Family string
	Hash   []byte
	Life   time.Duration
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
	// List returns one page, counted from 1, of the users, the newest first, and how many there are. An e-mail address
	// that is not empty leaves only its user.
	List(ctx context.Context, email string, page, limit int) ([]User, int64, error)
	// PasswordHash returns the hash of a user's password, or ErrAbsent.
	PasswordHash(ctx context.Context, id string) (string, error)
	// Update changes what is given of a user; ErrAbsent if there is none, or it has another password than the present one.
	// If the user is disabled or gets a password, all its sessions end, those included that begin or go on at the same time.
	Update(ctx context.Context, id string, c Update) (User, error)
	// Begin adds the first refresh token of a new family, and returns its user as it then is; ErrAbsent if the user is
	// disabled by now, or no longer has the password whose hash is given.
	Begin(ctx context.Context, userID, passwordHash string, token Token) (User, error)
	// Rotate uses a token and adds its successor. It returns the user, or ErrAbsent if the token is unknown, expired or
	// revoked, its user is disabled, or it was used before and is beyond the grace, in which case its whole family is revoked.
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
