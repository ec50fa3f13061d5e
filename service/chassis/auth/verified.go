package auth

import (
	"sync"
	"time"
)

const (
	// maxVerified is how many tokens are remembered.
	maxVerified = 4096
	// maxRemembered is the length in bytes of the longest token that is.
	maxRemembered = 1024
)

// verified remembers what tokens prove, since a caller sends the same one many times and verifying it costs more than
// everything else in a read that a cache answers. What it remembers ends when the keys are read again, so that a key that is taken
// out of force takes its tokens along. It may be used by many goroutines.
type verified struct {
	mu      sync.RWMutex
	inForce *[]key
	tokens  map[string]verdict
}

// verdict is what a token proves, and until when.
type verdict struct {
	id    Identity
	until time.Time
}

// find returns whom the token names, if that was found with the keys and still holds.
func (v *verified) find(token string, inForce *[]key, now time.Time) (Identity, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	found, ok := v.tokens[token]
	if !ok || v.inForce != inForce || !now.Before(found.until) {
		return Identity{}, false
	}
	return found.id, true
}

// keep remembers what was found with the keys.
func (v *verified) keep(token string, inForce *[]key, found verdict) {
	if len(token) > maxRemembered {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inForce != inForce || len(v.tokens) >= maxVerified {
		v.inForce, v.tokens = inForce, map[string]verdict{}
	}
	v.tokens[token] = found
}
