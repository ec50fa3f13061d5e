package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// NewUser is what is needed to make a user.
type NewUser struct {
	Email    string    `json:"email" validate:"required,email,max=254"`
	Role     auth.Role `json:"role" validate:"required,oneof=user teacher admin"`
	Password string    `json:"password" validate:"required,min=12,max=256"`
}

// UserChange is what an admin changes of a user; nil leaves a field as it is.
type UserChange struct {
	Role     *auth.Role `json:"role,omitempty" validate:"omitempty,oneof=user teacher admin"`
	Disabled *bool      `json:"disabled,omitempty"`
	Password *string    `json:"password,omitempty" validate:"omitempty,min=12,max=256"`
}

// PasswordChange is what a user needs to change its own password.
type PasswordChange struct {
	// Password is the present one.
	Password    string `json:"password" validate:"required,max=256"`
	NewPassword string `json:"newPassword" validate:"required,min=12,max=256"`
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
	hash, err := a.hasher.hash(ctx, n.Password)
	if err != nil {
		return User{}, err
	}
	event := audit.Event{Actor: caller, Action: "user.create", Target: u.ID, Details: map[string]any{"role": n.Role}}
	var made User
	err = a.log.Record(ctx, event, func(ctx context.Context) error {
		made, err = a.repo.Insert(ctx, u, hash)
		return err
	})
	if fault.CodeOf(err) == fault.Conflict {
		return User{}, fault.Wrap(fault.Conflict, "There is a user with this e-mail address already", err)
	}
	return made, err
}

// List returns one page, counted from 1, of the users, the newest first, and how many there are. Faults: Denied.
func (a *Accounts) List(ctx context.Context, caller auth.Identity, email string, page, limit int) ([]User, int64, error) {
	if !caller.IsAdmin() {
		return nil, 0, fault.New(fault.Denied, "Only an admin may list users")
	}
	return a.repo.List(ctx, email, page, limit)
}

// Change changes what is given of a user in the name of an admin. Disabling or a new password ends the user's sessions;
// access tokens that were handed out stay good until they expire. Nobody can take the rights of an admin from himself,
// so that one is always left. It is idempotent. Faults: Denied, Invalid, NotFound, Conflict.
func (a *Accounts) Change(ctx context.Context, caller auth.Identity, id string, c UserChange) (User, error) {
	if !caller.IsAdmin() {
		return User{}, fault.New(fault.Denied, "Only an admin may change users")
	}
	if details := c.check(); len(details) > 0 {
		return User{}, fault.InvalidInput("Validation failed", details...)
	}
	u, err := a.repo.ByID(ctx, id)
	if err != nil {
		return User{}, unknownUser(err)
	}
	u = c.applyTo(u)
	if u.ID == caller.ID && (u.Disabled || u.Role != auth.RoleAdmin) {
		return User{}, fault.New(fault.Conflict, "You cannot disable yourself or give up being an admin; ask another admin")
	}
	update := Update{Role: c.Role, Disabled: c.Disabled}
	if c.Password != nil {
		if update.PasswordHash, err = a.hasher.hash(ctx, *c.Password); err != nil {
			return User{}, err
		}
	}
	event := audit.Event{Actor: caller, Action: "user.update", Target: u.ID, Details: map[string]any{
		"role": u.Role, "disabled": u.Disabled, "password": c.Password != nil,
	}}
	err = a.log.Record(ctx, event, func(ctx context.Context) error {
		u, err = a.repo.Update(ctx, u.ID, update)
		return err
	})
	return u, unknownUser(err)
}

// ChangePassword gives the caller another password, ends all its sessions and begins a new one. It is not idempotent.
// Faults: Unauthenticated, Invalid, NotFound for a caller who has no password here, Denied for one who is disabled, Conflict
// when somebody else changes the password at the same time, and Unavailable when too many log in at once.
func (a *Accounts) ChangePassword(ctx context.Context, caller auth.Identity, p PasswordChange) (Tokens, error) {
	if caller.IsAnonymous() {
		return Tokens{}, fault.New(fault.Unauthenticated, "This needs an access token")
	}
	if details := checkPassword("newPassword", p.NewPassword); len(details) > 0 {
		return Tokens{}, fault.InvalidInput("Validation failed", details...)
	}
	u, err := a.repo.ByID(ctx, caller.ID)
	if err != nil {
		return Tokens{}, unknownUser(err)
	}
	if u.Disabled {
		return Tokens{}, fault.New(fault.Denied, "This user is disabled")
	}
	present, err := a.repo.PasswordHash(ctx, caller.ID)
	if err != nil {
		return Tokens{}, unknownUser(err)
	}
	matches, err := a.hasher.matches(ctx, present, p.Password)
	if err != nil {
		return Tokens{}, err
	}
	if !matches {
		return Tokens{}, fault.InvalidInput("Validation failed",
			fault.Detail{Field: "password", Code: "wrong", Message: "must be your present password"})
	}
	hash, err := a.hasher.hash(ctx, p.NewPassword)
	if err != nil {
		return Tokens{}, err
	}
	event := audit.Event{Actor: caller, Action: "user.password", Target: u.ID}
	err = a.log.Record(ctx, event, func(ctx context.Context) error {
		_, err := a.repo.Update(ctx, u.ID, Update{PasswordHash: hash, PresentHash: present})
		return err
	})
	if err != nil {
		return Tokens{}, changedMeanwhile(err)
	}
	tokens, err := a.begin(ctx, u.ID, hash)
	return tokens, changedMeanwhile(err)
}

func changedMeanwhile(err error) error {
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.Conflict, "The user was changed at the same time; log in again")
	}
	return err
}

func unknownUser(err error) error {
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.NotFound, "User not found")
	}
	return err
}

func check(n NewUser) []fault.Detail {
	var details []fault.Detail
	if parsed, err := mail.ParseAddress(n.Email); err != nil || parsed.Address != n.Email || len(n.Email) > 254 || strings.ContainsRune(n.Email, 0) {
		details = append(details, fault.Detail{Field: "email", Code: "email", Message: "must be an e-mail address of at most 254 bytes"})
	}
	if !n.Role.Valid() {
		details = append(details, unknownRole())
	}
	return append(details, checkPassword("password", n.Password)...)
}

func (c UserChange) check() []fault.Detail {
	var details []fault.Detail
	if c == (UserChange{}) {
		details = append(details, fault.Detail{Code: "required", Message: "must have at least one of role, disabled and password"})
	}
	if c.Role != nil && !c.Role.Valid() {
		details = append(details, unknownRole())
	}
	if c.Password != nil {
		details = append(details, checkPassword("password", *c.Password)...)
	}
	return details
}

func (c UserChange) applyTo(u User) User {
	if c.Role != nil {
		u.Role = *c.Role
	}
	if c.Disabled != nil {
		u.Disabled = *c.Disabled
	}
	return u
}

func unknownRole() fault.Detail {
	return fault.Detail{Field: "role", Code: "one_of", Message: "must be one of user, teacher, admin"}
}

func checkPassword(field, password string) []fault.Detail {
	fail := func(code, message string) []fault.Detail {
		return []fault.Detail{{Field: field, Code: code, Message: message}}
	}
	switch length := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return fail("text", "must be text in UTF-8")
	case length < MinPassword:
		return fail("min", fmt.Sprintf("must have at least %d characters", MinPassword))
	case length > MaxPassword:
		return fail("max", fmt.Sprintf("must have at most %d characters", MaxPassword))
	}
	return nil
}
