package microservice

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mirubato/mirubato/controllers/environment"
)

// trust is how long what was written is taken to be there although the cache does not say so.
const trust = 2 * time.Second

// made remembers which objects were written a moment ago, until the cache has heard of them: a pass that comes before would ask the API
// server for them, and write them again. The zero value remembers nothing, and everything is asked for and written, as often as it seems
// to be missing. It may be used by several goroutines.
type made struct {
	mu   sync.Mutex
	last map[types.NamespacedName]map[madeKey]writing
}

// forgetting tells made what is gone before it wakes anybody: the cache not having it means something else then.
type forgetting struct {
	handler.EventHandler
	gone func(client.Object)
}

func (f forgetting) Delete(ctx context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	f.gone(e.Object)
	f.EventHandler.Delete(ctx, e, queue)
}

// madeKey is an object of a Microservice, in a cluster.
type madeKey struct {
	cluster, namespace string
	environment.ObjectKey
}

// writing is the version that came of it, the hash of what was wanted, and when that was. created: the cache knew of none before.
type writing struct {
	version, hash string
	at            time.Time
	created       bool
}

// remember notes that an object was written, with the hash of what was wanted, which for a pod is what it was told.
func (m *made) remember(s *station, key environment.ObjectKey, stored client.Object, hash string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		m.last = map[types.NamespacedName]map[madeKey]writing{}
	}
	of := s.place.Owner.Microservice
	if m.last[of] == nil {
		m.last[of] = map[madeKey]writing{}
	}
	m.last[of][s.madeKey(key)] = writing{stored.GetResourceVersion(), hash, now, s.cached(key) == nil}
}

// cached is an object as the cache has it, nil if it has none.
func (s *station) cached(key environment.ObjectKey) client.Object {
	if key.Kind != podKind {
		return s.facts.Live[key]
	}
	for i := range s.facts.Pods {
		if pod := &s.facts.Pods[i]; pod.Name == key.Name {
			return pod
		}
	}
	return nil
}

const podKind = "Pod"

func (s *station) madeKey(key environment.ObjectKey) madeKey {
	return madeKey{s.cluster.ID, s.place.Namespace, key}
}

// unheard returns what the cache has not heard of, with the hash of what was written, and forgets the rest.
func (m *made) unheard(s *station, now time.Time) map[environment.ObjectKey]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[environment.ObjectKey]string{}
	all := m.last[s.place.Owner.Microservice]
	for key, last := range all {
		if s.madeKey(key.ObjectKey) != key {
			continue
		}
		if age := now.Sub(last.at); age >= 0 && age < trust && last.isAheadOf(s.cached(key.ObjectKey)) {
			out[key.ObjectKey] = last.hash
			continue
		}
		delete(all, key)
	}
	if len(all) == 0 {
		delete(m.last, s.place.Owner.Microservice)
	}
	return out
}

// isAheadOf reports whether the cache has not heard of a writing. Versions that cannot be compared are taken for new ones, and what was
// there and is not any more for removed.
func (w writing) isAheadOf(cached client.Object) bool {
	if cached == nil {
		return w.created
	}
	order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), w.version)
	return err == nil && order < 0
}

// drop forgets an object that is being removed.
func (m *made) drop(of types.NamespacedName, key madeKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last[of], key)
}

func (m *made) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last, key)
}
