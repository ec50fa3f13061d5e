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

// versions are those in which Microservices were written last by this operator. A pass over an older one, which the cache may still
// hold a moment after, would do for nothing what ends in a conflict, and conflicts make the next attempt wait. The zero value knows
// none. It may be used by several goroutines.
type versions struct {
	mu   sync.Mutex
	last map[types.NamespacedName]string
}

// isBehind reports whether a Microservice was read from before the last write. Once one is not, nothing has to be remembered.
func (v *versions) isBehind(ms *v1alpha1.Microservice) bool {
	key := client.ObjectKeyFromObject(ms)
	v.mu.Lock()
	defer v.mu.Unlock()
	written, known := v.last[key]
	if !known {
		return false
	}
	// Versions that cannot be compared are taken for new ones: then a conflict tells.
	if order, err := resourceversion.CompareResourceVersion(ms.ResourceVersion, written); err == nil && order < 0 {
		return true
	}
	delete(v.last, key)
	return false
}

// remember notes the version in which a pass leaves a Microservice, if that is not the one that it was read in.
func (v *versions) remember(ms *v1alpha1.Microservice, read string) {
	if ms.ResourceVersion == read {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last == nil {
		v.last = map[types.NamespacedName]string{}
	}
	v.last[client.ObjectKeyFromObject(ms)] = ms.ResourceVersion
}

func (v *versions) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.last, key)
}
