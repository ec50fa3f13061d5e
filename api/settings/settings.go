// Package settings is what may be changed about a service while it runs: one type, which a Microservice carries and which the
// service reads from a file, so that the two cannot drift apart. It owns the fields, their bounds, their defaults and how they
// are read and merged; what a field does is up to the package of the chassis that heeds it. docs/settings.md is its prose.
//
// Every field may be left out: nil means the default, or, in an override, what is overridden. A list is taken whole.
//
// The bounds stand twice, as markers for the API server and in Validate for the service, which must not trust that its file came
// through an API server. Both give the same answer.
//
// It imports nothing of Kubernetes, so that a service may import it.
//
// +kubebuilder:object:generate=true
package settings

import (
	"fmt"
	"reflect"
)

// Settings are the live settings of a service: changing one takes effect in running pods, without a restart.
type Settings struct {
	// cache is how much is kept of what was answered or read before, and for how long.
	// +optional
	Cache *Cache `json:"cache,omitempty"`
	// rateLimits are how many requests a client may make.
	// +optional
	RateLimits *RateLimits `json:"rateLimits,omitempty"`
	// resilience is how the service keeps answering while something that it needs does not.
	// +optional
	Resilience *Resilience `json:"resilience,omitempty"`
	// cors is whose pages may call the service from a browser.
	// +optional
	CORS *CORS `json:"cors,omitempty"`
	// logging is what is written to the log.
	// +optional
	Logging *Logging `json:"logging,omitempty"`
	// tokens are how long sessions last.
	// +optional
	Tokens *Tokens `json:"tokens,omitempty"`
}

// Default returns the settings that hold where nothing else is said. Every field that has a default is set.
func Default() Settings {
	return Settings{
		Cache:      defaultCache(),
		RateLimits: defaultRateLimits(),
		Resilience: defaultResilience(),
		CORS:       defaultCORS(),
		Logging:    defaultLogging(),
		Tokens:     defaultTokens(),
	}
}

// Validate returns what is wrong with the fields that are given, in the order in which they are documented; nil if nothing is.
func (s Settings) Validate() []Problem {
	var p problems
	s.Cache.validate(p.at("cache"))
	s.RateLimits.validate(p.at("rateLimits"))
	s.Resilience.validate(p.at("resilience"))
	s.CORS.validate(p.at("cors"))
	s.Logging.validate(p.at("logging"))
	s.Tokens.validate(p.at("tokens"))
	return p.found
}

// Problem is a rule that a field breaks.
type Problem struct {
	// Field is the path of the field, such as rateLimits.tiers[0].requests; empty when the settings as a whole are meant.
	Field string
	// Message says what must hold; it reads on from the field.
	Message string
}

// Error makes a problem an error.
func (p Problem) Error() string {
	if p.Field == "" {
		return "settings " + p.Message
	}
	return p.Field + " " + p.Message
}

// Merge returns base with the fields that over gives put over it, however deep they are; neither is changed. Lists are
// taken whole. The result shares memory with both, so it must not be changed either.
func Merge(base, over Settings) Settings {
	return mergeValues(base, over)
}

func mergeValues[T any](base, over T) T {
	return merged(reflect.ValueOf(base), reflect.ValueOf(over)).Interface().(T)
}

// merged goes down pointers to structs; whatever else is set replaces what was there.
func merged(base, over reflect.Value) reflect.Value {
	switch {
	case over.IsZero():
		return base
	case base.IsZero():
		return over
	case over.Kind() == reflect.Pointer && over.Elem().Kind() == reflect.Struct:
		both := reflect.New(over.Type().Elem())
		both.Elem().Set(merged(base.Elem(), over.Elem()))
		return both
	case over.Kind() == reflect.Struct:
		both := reflect.New(over.Type()).Elem()
		for i := range over.NumField() {
			both.Field(i).Set(merged(base.Field(i), over.Field(i)))
		}
		return both
	}
	return over
}

// problems collects what Validate finds.
type problems struct{ found []Problem }

func (p *problems) at(path string) place { return place{all: p, path: path} }

// place is a field that is being looked at.
type place struct {
	all  *problems
	path string
}

func (p place) field(name string) place { return place{all: p.all, path: p.path + "." + name} }

func (p place) item(i int) place { return place{all: p.all, path: fmt.Sprintf("%s[%d]", p.path, i)} }

// demand notes a problem unless the rule holds.
func (p place) demand(holds bool, message string, args ...any) {
	if !holds {
		p.all.found = append(p.all.found, Problem{Field: p.path, Message: fmt.Sprintf(message, args...)})
	}
}

// number demands that a number, if given, is within bounds.
func (p place) number(n *int32, least, greatest int32) {
	p.demand(n == nil || *n >= least && *n <= greatest, "must be a number from %d to %d", least, greatest)
}

// duration demands that a duration, if given, is within bounds.
func (p place) duration(d *Duration, least, greatest Duration) {
	p.demand(d == nil || *d >= least && *d <= greatest, "must be a duration from %s to %s, such as %s", least, greatest, least)
}

// length demands that a list has no more items than the API server would take.
func (p place) length(n, greatest int) {
	p.demand(n <= greatest, "must have at most %d items", greatest)
}

func pointer[T any](v T) *T { return &v }
