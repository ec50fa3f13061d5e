package httpapi

import (
	"strconv"
	"strings"
	"time"
)

// CacheControl says who may keep an answer, and for how long (RFC 9111 section 5.2.2, RFC 5861). The zero value lets nobody keep it.
type CacheControl struct {
	// Private lets the caller's own cache keep the answer, and ask before each use.
	Private bool
	// Public lets every cache keep it; the times below are heeded only then. Nothing that is one caller's own is ever public.
	Public bool
	// MaxAge is how long it is used without asking.
	MaxAge time.Duration
	// SharedMaxAge is the same for caches that serve many, if that differs.
	SharedMaxAge time.Duration
	// StaleWhileRevalidate and StaleIfError are how long after that it may be used while it is asked for again, and if that fails.
	StaleWhileRevalidate, StaleIfError time.Duration
	// Immutable says that what is at this address never changes.
	Immutable bool
}

// String is the value of the header Cache-Control. Times are in whole seconds.
func (c CacheControl) String() string {
	switch {
	case c.Private:
		return "private, no-cache"
	case !c.Public:
		return "no-store"
	}
	var b strings.Builder
	b.WriteString("public, max-age=" + seconds(c.MaxAge))
	for _, more := range []struct {
		name string
		time time.Duration
	}{
		{"s-maxage", c.SharedMaxAge}, {"stale-while-revalidate", c.StaleWhileRevalidate}, {"stale-if-error", c.StaleIfError},
	} {
		if more.time > 0 {
			b.WriteString(", " + more.name + "=" + seconds(more.time))
		}
	}
	if c.Immutable {
		b.WriteString(", immutable")
	}
	return b.String()
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// Sharing says whether the answers of a route may serve others than the one who asked.
type Sharing int

// The sharings. Whatever a route says, an answer is shared only if it says so itself; see Response.Shared.
const (
	// Unshared: they are the caller's own. It is the zero value, so that nothing is shared by oversight.
	Unshared Sharing = iota
	// AmongAnonymous: an answer to one anonymous caller may serve another one. What callers with a token see may differ.
	AmongAnonymous
	// AmongAll: an answer that is shared is the same whoever asks.
	AmongAll
)
