package settings

import (
	"regexp"
	"time"
)

// CORS is whose pages may call the service from a browser.
type CORS struct {
	// origins whose pages may call, such as https://example.org; "*" lets pages of every origin call, without the
	// credentials that browsers add by themselves. Default: what the service was started with, else none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(o, o == '*' || o.matches('^[a-z][a-z0-9+.-]*://([[][0-9a-f:]+[]]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?$'))",message="must be origins such as https://example.org, without a path, or *"
	Origins []string `json:"origins,omitempty"`
	// maxAge is how long browsers may remember what a page may do, 0s to 24h. Default: 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be from 0s to 24h"
	MaxAge *Duration `json:"maxAge,omitempty"`
}

// AnyOrigin among the origins lets pages of every origin call.
const AnyOrigin = "*"

const maxCORSAge = Duration(24 * time.Hour)

var originForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://([[][0-9a-f:]+[]]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?$`)

func defaultCORS() *CORS { return &CORS{MaxAge: pointer(maxCORSAge)} }

func (c *CORS) validate(p place) {
	if c == nil {
		return
	}
	origins := p.field("origins")
	origins.length(len(c.Origins), 64)
	seen := map[string]bool{}
	for i, o := range c.Origins {
		origins.item(i).demand(o == AnyOrigin || len(o) <= 253 && originForm.MatchString(o),
			"must be an origin such as https://example.org, without a path, or *")
		origins.item(i).demand(!seen[o], "must not be given twice")
		seen[o] = true
	}
	p.field("maxAge").duration(c.MaxAge, 0, maxCORSAge)
}
