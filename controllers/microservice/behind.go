package microservice

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// catchUp is how soon a Microservice is looked at again of which the cache has not heard yet what the operator has written itself. No watch
// tells of it: its status wakes nobody, or each pass would bring another one about.
const catchUp = 5 * time.Millisecond

// versions are those in which Microservices were written last by this operator. The cache may be behind them for a moment. The zero value
// knows none. It may be used by several goroutines.
type versions struct {
	mu   sync.Mutex
	last map[types.NamespacedName]string
}

// isBehind reports whether an object was read from before the last write. A pass over it would do for nothing what ends in a conflict,
// and conflicts make the next attempt wait. Once an object is not behind, nothing has to be remembered.
func (v *versions) isBehind(object client.Object) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := client.ObjectKeyFromObject(object)
	written, known := v.last[key]
	if !known {
		return false
	}
	// Versions that cannot be compared are taken for new ones: then a conflict tells.
	if order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), written); err == nil && order < 0 {
		return true
	}
	delete(v.last, key)
	return false
}

// remember notes the version of an object, if that is not the one that it was read in.
func (v *versions) remember(object client.Object, read string) {
	if object.GetResourceVersion() == read {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last == nil {
		v.last = map[types.NamespacedName]string{}
	}
	v.last[client.ObjectKeyFromObject(object)] = object.GetResourceVersion()
}

func (v *versions) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.last, key)
}

// records tell, by Microservice, in which version this operator has last read or written the Release that is asked for. A process that
// has just begun knows none, and must not trust its caches: they may be older than what the process before it has recorded. The zero value
// knows none. It may be used by several goroutines.
type records struct {
	mu   sync.Mutex
	last map[types.NamespacedName]record
}

type record struct {
	uid     types.UID
	version string
}

// isKnown reports whether a Release is at least as new as it was when it was last read or written.
func (r *records) isKnown(of types.NamespacedName, rel *v1alpha1.Release) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.last[of]
	if !known || last.uid != rel.UID {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(rel.ResourceVersion, last.version)
	return err == nil && order >= 0
}

func (r *records) remember(of types.NamespacedName, rel *v1alpha1.Release) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[types.NamespacedName]record{}
	}
	r.last[of] = record{rel.UID, rel.ResourceVersion}
}

func (r *records) forget(of types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, of)
}
