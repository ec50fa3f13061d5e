package microservice

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// proofs remember which objects were compared with what the operator wants, field by field, and held it. As long as both are the same
// they need not be compared again, which would be most of the work of a pass over nothing. The zero value remembers nothing. It may be used
// by several goroutines, but only one pass over a Microservice at a time.
type proofs struct {
	mu    sync.Mutex
	known map[types.NamespacedName]map[string]held
}

// held are the objects of an environment that hold, by who they are.
type held map[types.UID]proof

// proof is the version of an object, and the hash of what it held.
type proof struct{ version, hash string }

func proofOf(m manifest.Manifest, live client.Object) proof {
	return proof{live.GetResourceVersion(), m.Hash()}
}

// of returns what the last pass has found out about an environment; it must not be changed.
func (p *proofs) of(owner ownership.Owner) held {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[owner.Microservice][owner.Environment]
}

// keep remembers what a pass has found out, in place of what was known of the environment.
func (p *proofs) keep(owner ownership.Owner, found held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[types.NamespacedName]map[string]held{}
	}
	if p.known[owner.Microservice] == nil {
		p.known[owner.Microservice] = map[string]held{}
	}
	p.known[owner.Microservice][owner.Environment] = found
}

func (p *proofs) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, key)
}

// holds reports whether what is there already is what a manifest wants.
func (r *Reconciler) holds(s *station, m manifest.Manifest) (bool, error) {
	key := environment.KeyOf(m)
	if hash, unheard := s.unheard[key]; unheard {
		s.relied = true
		return hash == m.Hash(), nil
	}
	live := s.facts.Live[key]
	if live == nil {
		return false, nil
	}
	now := proofOf(m, live)
	if r.proofs.of(s.place.Owner)[live.GetUID()] != now {
		if holds, err := m.Holds(live); err != nil || !holds {
			return false, err
		}
	}
	s.proven[live.GetUID()] = now
	return true, nil
}
