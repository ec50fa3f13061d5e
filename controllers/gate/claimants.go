package gate

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Claimants keep the claims of all Microservices, so that asking the Budget does not mean reading all of them: with many, whoever
// lists them in each pass does little else. They know what See and Forget told them, which has to be every change, in order. They
// may be used by several goroutines.
type Claimants struct {
	mu sync.RWMutex
	// of has no entry for who claims nothing, as most do.
	of map[types.NamespacedName][]Claim
}

// NewClaimants make some that know of nobody.
func NewClaimants() *Claimants { return &Claimants{of: map[types.NamespacedName][]Claim{}} }

// See takes in what a status says, and reports whether a rollout has ended by it, so that its place is free.
func (c *Claimants) See(ms *v1alpha1.Microservice) (ended bool) {
	return c.set(types.NamespacedName{Namespace: ms.Namespace, Name: ms.Name}, Claims(ms))
}

// Forget takes in that a Microservice is gone, and reports the same as See.
func (c *Claimants) Forget(microservice types.NamespacedName) (ended bool) {
	return c.set(microservice, nil)
}

func (c *Claimants) set(microservice types.NamespacedName, claims []Claim) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.of[microservice]
	if len(claims) == 0 {
		delete(c.of, microservice)
	} else {
		c.of[microservice] = claims
	}
	return slices.ContainsFunc(before, func(b Claim) bool {
		return b.Begun && !slices.ContainsFunc(claims, func(now Claim) bool { return now.Begun && now.Place == b.Place })
	})
}

// With returns the claims of all Microservices, in no order, of which one is as given: it may know more of itself.
func (c *Claimants) With(ms *v1alpha1.Microservice) []Claim {
	own := types.NamespacedName{Namespace: ms.Namespace, Name: ms.Name}
	return append(c.but(own), Claims(ms)...)
}

// All returns the claims of all Microservices, in no order.
func (c *Claimants) All() []Claim { return c.but(types.NamespacedName{}) }

func (c *Claimants) but(one types.NamespacedName) []Claim {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]Claim, 0, len(c.of)+1)
	for microservice, claims := range c.of {
		if microservice != one {
			out = append(out, claims...)
		}
	}
	return out
}
