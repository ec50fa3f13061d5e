// Package collection owns collections of scores: what they are, who may see, change, share and feature them, and the HTTP
// of it. Who may read a score is decided by package scores; being in a collection gives nobody more than that.
package collection

import (
	"strings"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/optional"
	"github.com/mirubato/mirubato/service/chassis/validation"
	"github.com/mirubato/mirubato/service/scores"
)

// Limits.
const (
	// MaxMembers is how many scores a collection holds at most.
	MaxMembers = 1000
	// MaxShares is with how many users a collection is shared at most.
	MaxShares = 500
)

// Collection is one collection, without its scores.
type Collection struct {
	// ID is a UUID in lower case, given by the service.
	ID string `json:"id"`
	// OwnerID is the subject of the caller who created the collection.
	OwnerID string `json:"ownerId"`
	Fields
	// IsDefault marks the one collection of an owner that the owner cannot remove.
	IsDefault bool `json:"isDefault"`
	// FeaturedAt is since when the collection is featured, nil if it is not.
	FeaturedAt *time.Time `json:"featuredAt"`
	// Version counts the changes of the collection itself, from 1.
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Fields are what the owner of a collection decides.
type Fields struct {
	Name        string  `json:"name" validate:"required,max=255,line"`
	Description *string `json:"description" validate:"omitempty,max=5000,lines"`
	// Visibility is as for scores.
	Visibility scores.Visibility `json:"visibility" validate:"oneof=private unlisted public"`
}

// Change is what a caller wants of a collection: at an update, a field that is absent is kept, one that is null is cleared.
type Change struct {
	Name        optional.Value[string]            `json:"name,omitzero"`
	Description optional.Value[string]            `json:"description,omitzero"`
	Visibility  optional.Value[scores.Visibility] `json:"visibility,omitzero"`
}

// New is what a caller wants of a new collection.
type New struct {
	Change
	// IsDefault makes it the one that its owner cannot remove.
	IsDefault bool `json:"isDefault,omitempty"`
}

// applyTo returns the fields with the change made and in normal form.
func (c Change) applyTo(f Fields) Fields {
	c.Name.Apply(&f.Name)
	c.Description.ApplyPtr(&f.Description)
	c.Visibility.Apply(&f.Visibility)
	f.Name = strings.TrimSpace(f.Name)
	if f.Description != nil && strings.TrimSpace(*f.Description) == "" {
		f.Description = nil
	}
	return f
}

// check returns an Invalid fault that names every field that breaks a rule, or nil.
func check(v *validation.Validator, f Fields) error {
	if details := v.Check(f); len(details) > 0 {
		return fault.InvalidInput("Validation failed", details...)
	}
	return nil
}
