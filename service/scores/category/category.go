// Package category owns the tree of categories that admins keep, and which scores are in which of them. Who may change
// a score is decided by package scores.
package category

import (
	"regexp"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/optional"
	"github.com/mirubato/mirubato/service/chassis/validation"
)

// Limits.
const (
	// MaxCategories is how many categories there are at most, so that the whole tree can be shown at once.
	MaxCategories = 500
	// MaxPerScore is in how many categories a score is at most.
	MaxPerScore = 20
)

// Category is one category.
type Category struct {
	// ID is a UUID in lower case, given by the service.
	ID string `json:"id"`
	Fields
	// Version counts the changes, from 1.
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Fields are what admins decide of a category.
type Fields struct {
	// Name is unique.
	Name string `json:"name" validate:"required,max=128,line"`
	// Slug is unique and fit for addresses. It is made of the name unless it is given.
	Slug        string  `json:"slug" validate:"max=128"`
	Description *string `json:"description" validate:"omitempty,max=1000,lines"`
	// ParentID is the category above, nil at the top.
	ParentID *string `json:"parentId" validate:"omitnil,uuid"`
	// Position orders categories with the same parent; equal ones follow by name.
	Position int `json:"position" validate:"min=0,max=1000000"`
}

// Change is what an admin wants of a category: at creation on top of nothing, at an update on top of the present fields. A
// field that is absent is kept, one that is null is cleared.
type Change struct {
	Name        optional.Value[string] `json:"name,omitzero"`
	Slug        optional.Value[string] `json:"slug,omitzero"`
	Description optional.Value[string] `json:"description,omitzero"`
	ParentID    optional.Value[string] `json:"parentId,omitzero"`
	Position    optional.Value[int]    `json:"position,omitzero"`
}

// applyTo returns the fields with the change made and in normal form. A slug that is cleared is made anew; one that is kept
// stays when the name changes, since addresses should.
func (c Change) applyTo(f Fields) Fields {
	c.Name.Apply(&f.Name)
	c.Slug.Apply(&f.Slug)
	c.Description.ApplyPtr(&f.Description)
	c.ParentID.ApplyPtr(&f.ParentID)
	c.Position.Apply(&f.Position)
	f.Name = strings.TrimSpace(f.Name)
	if f.Slug == "" {
		f.Slug = slugOf(f.Name)
	}
	if f.ParentID != nil {
		lower := strings.ToLower(*f.ParentID)
		f.ParentID = &lower
	}
	return f
}

var (
	slugForm  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	notSlug   = regexp.MustCompile(`[^a-z0-9\s_-]+`)
	slugBreak = regexp.MustCompile(`[\s_-]+`)
)

// slugOf makes a slug of a text: lower case without accents, words joined by hyphens. It is empty if nothing is left.
func slugOf(text string) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text))
	return strings.Trim(slugBreak.ReplaceAllString(notSlug.ReplaceAllString(plain, ""), "-"), "-")
}

// check returns an Invalid fault that names every field that breaks a rule, or nil.
func check(v *validation.Validator, f Fields) error {
	details := v.Check(f)
	if f.Name != "" && !slugForm.MatchString(f.Slug) {
		details = append(details, fault.Detail{
			Field: "slug", Code: "slug", Message: "must be words of a-z and 0-9 joined by single hyphens",
		})
	}
	if len(details) == 0 {
		return nil
	}
	return fault.InvalidInput("Validation failed", details...)
}

// inTreeOrder returns the categories with each followed by those below it, given all of them ordered among siblings.
func inTreeOrder(all []Category) []Category {
	below := map[string][]Category{}
	for _, c := range all {
		parent := ""
		if c.ParentID != nil {
			parent = *c.ParentID
		}
		below[parent] = append(below[parent], c)
	}
	ordered := make([]Category, 0, len(all))
	var visit func(parent string)
	visit = func(parent string) {
		for _, c := range below[parent] {
			ordered = append(ordered, c)
			visit(c.ID)
		}
	}
	visit("")
	return ordered
}

// isBelow reports whether the category id is top itself or below it.
func isBelow(all []Category, id, top string) bool {
	parents := map[string]*string{}
	for _, c := range all {
		parents[c.ID] = c.ParentID
	}
	for step := 0; step <= len(all); step++ {
		if id == top {
			return true
		}
		parent := parents[id]
		if parent == nil {
			return false
		}
		id = *parent
	}
	return true
}
