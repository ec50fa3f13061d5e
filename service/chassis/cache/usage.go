package cache

import (
	"context"
	"slices"
	"sync"
)

// Usage gathers what caches were used for while something was done. It may be used by many goroutines.
type Usage struct {
	mu    sync.Mutex
	tags  []string
	stale bool
}

type usageKey struct{}

// Gather returns a context under which the caches write down what they are used for.
func Gather(ctx context.Context) (context.Context, *Usage) {
	u := &Usage{}
	return context.WithValue(ctx, usageKey{}, u), u
}

// Tags returns the tags of everything that was read, each once.
func (u *Usage) Tags() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.tags)
}

// Stale reports whether something was read that was out of date, since what knows better is away.
func (u *Usage) Stale() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stale
}

func (u *Usage) add(tags []string, stale bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, tag := range tags {
		if !slices.Contains(u.tags, tag) {
			u.tags = append(u.tags, tag)
		}
	}
	u.stale = u.stale || stale
}

func note(ctx context.Context, tags []string, stale bool) {
	if u, ok := ctx.Value(usageKey{}).(*Usage); ok {
		u.add(tags, stale)
	}
}

type presentKey struct{}

// Present returns a context under which nothing is read from a cache. Whoever decides on a change reads under it: a decision on the
// ground of what was so a moment ago would refuse what is right.
func Present(ctx context.Context) context.Context { return context.WithValue(ctx, presentKey{}, true) }

func wantsPresent(ctx context.Context) bool {
	_, ok := ctx.Value(presentKey{}).(bool)
	return ok
}
