package invalidation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// Limits of one purge.
const (
	// MaxNames is how many tags or keys are purged at once.
	MaxNames = 100
	// MaxName is the length of one in characters.
	MaxName = 1024
)

// Purge is what shall no longer be used: exactly one of its fields.
type Purge struct {
	// Tags end every value that is made of what they name.
	Tags []string `json:"tags,omitempty" maxItems:"100" description:"End every value that is made of what they name, such as score:ID or scores:visible."`
	// Keys end the values under them.
	Keys []string `json:"keys,omitempty" maxItems:"100" description:"End the values under them. The key of an answer is its path with the parameters in the order of their names."`
	// All ends everything.
	All bool `json:"all,omitempty" description:"Ends every value."`
}

// Report is what the caches of a process do.
type Report struct {
	Caches       []cache.Stats `json:"caches"`
	Invalidation Stats         `json:"invalidation"`
}

// Routes let admins see and empty the caches. What is purged goes into the log before.
func Routes(f *Feed, caches cache.Collector, log audit.Recorder) []httpapi.Route {
	const group = "Administration"
	return []httpapi.Route{
		{
			Method: http.MethodPost, Path: "/api/admin/cache/purge", Access: httpapi.Admins,
			Name: "purgeCache", Group: group, Summary: "Stop using what the caches of all pods hold",
			Description: "By tag, by key, or all of it. It is idempotent.",
			Request:     Purge{}, Status: http.StatusOK, Response: httpapi.Envelope[Purge]{},
			Handler: httpapi.Handle(httpapi.DecodeJSON[Purge],
				func(ctx context.Context, p Purge) (Purge, error) { return p, f.purge(ctx, p, log) },
				func(p Purge) httpapi.Response { return httpapi.OKMessage(p, "Purged") }),
		},
		{
			Method: http.MethodGet, Path: "/api/admin/cache/stats", Access: httpapi.Admins,
			Name: "cacheStats", Group: group, Summary: "Show what the caches of the pod that answers do",
			Status: http.StatusOK, Response: httpapi.Envelope[Report]{},
			Handler: httpapi.Handle(
				func(*http.Request) (struct{}, error) { return struct{}{}, nil },
				func(context.Context, struct{}) (Report, error) {
					r := Report{Caches: []cache.Stats{}, Invalidation: f.Stats()}
					for _, c := range caches {
						r.Caches = append(r.Caches, c.Stats())
					}
					return r, nil
				},
				httpapi.OK[Report]),
		},
	}
}

// purge ends what is asked for in all processes.
func (f *Feed) purge(ctx context.Context, p Purge, log audit.Recorder) error {
	if err := p.check(); err != nil {
		return err
	}
	event := audit.Event{
		Actor: auth.FromContext(ctx), Action: "cache.purge", Target: "cache",
		Details: map[string]any{"tags": p.Tags, "keys": p.Keys, "all": p.All},
	}
	// The news go by another pool, on which the entry's transaction does not reach: first the entry is kept.
	if err := log.Record(ctx, event, func(context.Context) error { return nil }); err != nil {
		return err
	}
	return f.Publish(ctx, p.names()...)
}

// names are the tags that the purge ends.
func (p Purge) names() []string {
	if p.All {
		return []string{Everything}
	}
	names := p.Tags
	for _, key := range p.Keys {
		names = append(names, cache.KeyTag(key))
	}
	return names
}

// check returns an Invalid fault that names what is wrong, or nil.
func (p Purge) check() error {
	given := 0
	for _, isGiven := range []bool{len(p.Tags) > 0, len(p.Keys) > 0, p.All} {
		if isGiven {
			given++
		}
	}
	if given != 1 {
		return fault.InvalidInput("Validation failed",
			fault.Detail{Code: "one_of", Message: "must have exactly one of tags, keys and all"})
	}
	var details []fault.Detail
	for field, names := range map[string][]string{"tags": p.Tags, "keys": p.Keys} {
		if len(names) > MaxNames {
			details = append(details, fault.Detail{
				Field: field, Code: "max", Message: fmt.Sprintf("must have at most %d entries", MaxNames),
			})
		}
		for i, name := range names {
			if n := utf8.RuneCountInString(name); n < 1 || n > MaxName || strings.ContainsFunc(name, unicode.IsControl) || name == Everything {
				details = append(details, fault.Detail{
					Field: fmt.Sprintf("%s[%d]", field, i), Code: "text",
					Message: fmt.Sprintf("must be a name of 1 to %d characters", MaxName),
				})
			}
		}
	}
	if len(details) == 0 {
		return nil
	}
	return fault.InvalidInput("Validation failed", details...)
}
