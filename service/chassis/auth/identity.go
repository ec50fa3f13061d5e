// Package auth owns who is calling: it verifies bearer tokens, mints them for development and tests, and hands the
// caller's identity to the handlers. It does not decide what a caller may do with a thing; the domain does.
package auth

import (
	"context"
	"slices"
)

// Role is what a caller is in general, apart from what the caller owns.
type Role string

// The roles, from least to most.
const (
	RoleUser    Role = "user"
	RoleTeacher Role = "teacher"
	RoleAdmin   Role = "admin"
)

// Roles lists all roles.
func Roles() []Role { return []Role{RoleUser, RoleTeacher, RoleAdmin} }

// Valid reports whether the role is one of Roles.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// Identity is a caller. The zero value is an anonymous caller.
type Identity struct {
	// ID is the subject of the token, 1 to 128 characters; empty for an anonymous caller.
	ID string
	// Role is empty for an anonymous caller.
	Role Role
}

// IsAnonymous reports whether the caller showed no token.
func (i Identity) IsAnonymous() bool { return i.ID == "" }

// IsAdmin reports whether the caller may do everything.
func (i Identity) IsAdmin() bool { return i.Role == RoleAdmin }

type identityKey struct{}

// NewContext returns a context that carries the identity.
func NewContext(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// FromContext returns the identity that Required or Optional found, and the anonymous one if there is none.
func FromContext(ctx context.Context) Identity {
	id, _ := ctx.Value(identityKey{}).(Identity)
	return id
}
