package ratelimit

import (
	"sync"
)

const (
	// shards keep those who look up different keys out of each other's way.
	shards = 64
	// maxKeys is how many keys one shard remembers. Beyond it one is forgotten for each new one, so that nobody can fill the
	// memory by coming from many addresses.
	maxKeys = 1024
)

// table holds values by key, a bounded number of them. The zero value is empty.
type table[V any] struct{ parts [shards]part[V] }

type part[V any] struct {
	mu     sync.Mutex
	values map[Key]V
}

func (t *table[V]) part(key Key) *part[V] { return &t.parts[key[0]%shards] }

// use calls do with the value of a key, which is made if there is none. Those of the same shard wait meanwhile.
func (t *table[V]) use(key Key, fresh func() V, do func(V)) {
	p := t.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	value, ok := p.values[key]
	if !ok {
		value = fresh()
		p.add(key, value)
	}
	do(value)
}

func (p *part[V]) add(key Key, value V) {
	if p.values == nil {
		p.values = map[Key]V{}
	}
	if len(p.values) >= maxKeys {
		for some := range p.values {
			delete(p.values, some)
			break
		}
	}
	p.values[key] = value
}

// sweep removes the values for which done is true.
func (t *table[V]) sweep(done func(Key, V) bool) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for key, value := range p.values {
			if done(key, value) {
				delete(p.values, key)
			}
		}
		p.mu.Unlock()
	}
}
