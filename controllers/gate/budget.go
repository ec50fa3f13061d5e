package gate

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Place is an environment of a Microservice, in which at most one rollout is under way.
type Place struct {
	Microservice types.NamespacedName
	Environment  string
}

func (p Place) compare(other Place) int {
	return cmp.Or(
		cmp.Compare(p.Microservice.Namespace, other.Microservice.Namespace),
		cmp.Compare(p.Microservice.Name, other.Microservice.Name),
		cmp.Compare(p.Environment, other.Environment),
	)
}

// Claim is what a Microservice's status says of a place.
type Claim struct {
	Place
	// Begun: a rollout was admitted and has neither brought its pods up nor been given up. Soaking does not count: it costs
	// nobody anything and may take days.
	Begun bool
	// WaitingSince is since when it has waited for the budget; zero if it does not.
	WaitingSince time.Time
}

// Claims reads a status. A Microservice that is being deleted has none.
func Claims(ms *v1alpha1.Microservice) []Claim {
	if !ms.DeletionTimestamp.IsZero() {
		return nil
	}
	var out []Claim
	for _, environment := range ms.Status.Environments {
		claim := Claim{Place: Place{
			Microservice: types.NamespacedName{Namespace: ms.Namespace, Name: ms.Name},
			Environment:  environment.Name,
		}}
		waiting := environment.WaitingFor
		switch environment.Step {
		case v1alpha1.StepExpand, v1alpha1.StepCanary, v1alpha1.StepPromote, v1alpha1.StepRollBack:
			claim.Begun = true
		case v1alpha1.StepAdmit:
			// Admitted, and nothing done yet.
			claim.Begun = waiting != nil && waiting.Type == v1alpha1.WaitStep
			if waiting != nil && waiting.Type == v1alpha1.WaitBudget {
				claim.WaitingSince = waiting.Since.Time
			}
		}
		if claim.Begun || !claim.WaitingSince.IsZero() {
			out = append(out, claim)
		}
	}
	return out
}

// patience is how long a place that was given may go untaken. It covers the time until a cache shows what a pass has written,
// and ends what a pass has left behind that did not get that far.
const patience = time.Minute

// Budget bounds how many rollouts are under way at once in one operator, of which one replica works at a time.
//
// What is recorded decides, so that it survives a restart: who has begun keeps the place. Those who wait are let in by age, and
// by name among equals; nobody who asks later overtakes them. What was given a moment ago and is not recorded yet is kept in
// mind, since several passes run at once and caches lag behind. It may be used by several goroutines.
//
// A rollback asks nobody, so there may be more rollouts under way than the budget has.
type Budget struct {
	limit int
	mu    sync.Mutex
	given map[Place]time.Time
}

// NewBudget makes a budget of limit rollouts, at least one.
func NewBudget(limit int) *Budget {
	return &Budget{limit: max(limit, 1), given: map[Place]time.Time{}}
}

// Ask returns nil if a rollout may begin at the place, and keeps the place for it. Ask when nothing else holds the rollout up: a
// place that is not taken is lost to others for a minute. Asked again, the answer stays the same until then.
//
// claims are those of all Microservices. Whoever is told to wait is not told when a place is free: see Next.
func (b *Budget) Ask(now time.Time, place Place, claims []Claim) *v1alpha1.WaitingFor {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now, claims)
	if !b.isFree(place, claims) {
		return &v1alpha1.WaitingFor{
			Type:    v1alpha1.WaitBudget,
			Message: "as many rollouts as the operator carries out at once are under way, or others wait for longer",
			Unblock: "nothing, or start the operator with a higher --max-rollouts",
		}
	}
	if !slices.ContainsFunc(claims, func(c Claim) bool { return c.Place == place && c.Begun }) {
		b.given[place] = now
	}
	return nil
}

// Next returns who would be let in now, in order. When a rollout has ended, have them ask again.
func (b *Budget) Next(now time.Time, claims []Claim) []Place {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now, claims)
	begun := b.begun(claims)
	waiting := slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool { return c.WaitingSince.IsZero() || begun[c.Place] })
	slices.SortFunc(waiting, before)
	var out []Place
	for _, claim := range waiting[:min(len(waiting), max(0, b.limit-len(begun)))] {
		out = append(out, claim.Place)
	}
	return out
}

// before orders those who wait.
func before(a, b Claim) int {
	return cmp.Or(a.WaitingSince.Compare(b.WaitingSince), a.compare(b.Place))
}

// forget drops what was given and is recorded by now, or was never taken.
func (b *Budget) forget(now time.Time, claims []Claim) {
	for _, claim := range claims {
		if claim.Begun {
			delete(b.given, claim.Place)
		}
	}
	for place, at := range b.given {
		if now.Sub(at) >= patience {
			delete(b.given, place)
		}
	}
}

// begun are the places that are taken.
func (b *Budget) begun(claims []Claim) map[Place]bool {
	out := map[Place]bool{}
	for place := range b.given {
		out[place] = true
	}
	for _, claim := range claims {
		if claim.Begun {
			out[claim.Place] = true
		}
	}
	return out
}

// isFree reports whether a place is left for an environment once all who have waited for longer have theirs.
func (b *Budget) isFree(place Place, claims []Claim) bool {
	begun := b.begun(claims)
	if begun[place] {
		return true
	}
	own := slices.IndexFunc(claims, func(c Claim) bool { return c.Place == place })
	taken := len(begun)
	for _, claim := range claims {
		waits := !claim.WaitingSince.IsZero() && claim.Place != place && !begun[claim.Place]
		if waits && (own < 0 || before(claim, claims[own]) < 0) {
			taken++
		}
	}
	return taken < b.limit
}
