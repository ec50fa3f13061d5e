package microservice_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var errKilled = errors.New("the operator was killed")

// calls are those of one operator to the API server: they are counted, cut off and spoiled, one after the other.
type calls struct {
	one sync.Mutex

	all, writes, deletions int
	// live are readings that no cache answers.
	live int
	// killAt is the call before which the operator is killed; 0 for never. It and all calls after it fail, until the operator
	// is started again.
	killAt int
	// last is the write after which the operator is killed, so that it does not hear the answer; 0 for never.
	last int
	dead bool
	// refuse returns the error that a call gets in place of an answer.
	refuse func(write bool) error
	// lag holds up what caches hear; nil for nothing.
	lag *lag
}

// lag has caches answer, half of the time, what they have answered before, unless that was more than maxLag ago.
type lag struct {
	random *rand.Rand
	now    func() time.Time
	seen   map[string]reading
}

type reading struct {
	object runtime.Object
	at     time.Time
}

// maxLag is a little more than one step of the clock: a cache that is behind at one look is not at the next but one.
const maxLag = 4 * time.Second

// recalls reports whether the cache has not heard of anything new, and then fills in what it knows.
func (l *lag) recalls(of string, into runtime.Object) bool {
	if l == nil {
		return false
	}
	last, known := l.seen[of]
	if age := l.now().Sub(last.at); !known || age < 0 || age > maxLag || l.random.IntN(2) == 0 {
		return false
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(last.object.DeepCopyObject()).Elem())
	return true
}

func (l *lag) hears(of string, object runtime.Object) {
	if l != nil {
		l.seen[of] = reading{object.DeepCopyObject(), l.now()}
	}
}

// do carries out one call, unless the operator is dead or the call is refused.
func (c *calls) do(write bool, call func() error) error {
	c.one.Lock()
	defer c.one.Unlock()
	c.all++
	if c.dead = c.dead || c.all == c.killAt; c.dead {
		return errKilled
	}
	if c.refuse != nil {
		if err := c.refuse(write); err != nil {
			return err
		}
	}
	if write {
		c.writes++
	}
	err := call()
	if c.dead = write && c.writes == c.last; c.dead {
		return errKilled
	}
	return err
}

// revive starts the operator again, which nobody kills any more.
func (c *calls) revive() { c.dead, c.killAt, c.last = false, 0, 0 }

// read carries out one call that fills in object.
func (c *calls) read(cached bool, of string, object runtime.Object, call func() error) error {
	return c.do(false, func() error {
		if !cached {
			c.live++
		}
		if cached && c.lag.recalls(of, object) {
			return nil
		}
		err := call()
		if err == nil && cached {
			c.lag.hears(of, object)
		}
		return err
	})
}

// client is one whose calls are these. One that is cached may read what was there before, but never anything older than what it
// has read already.
func (c *calls) client(t testing.TB, cached bool) client.Client {
	t.Helper()
	base, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return interceptor.NewClient(base, interceptor.Funcs{
		Get: func(ctx context.Context, under client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			return c.read(cached, fmt.Sprintf("%T %s", object, key), object, func() error { return under.Get(ctx, key, object, opts...) })
		},
		List: func(ctx context.Context, under client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return c.read(cached, fmt.Sprintf("%T %v", list, opts), list, func() error { return under.List(ctx, list, opts...) })
		},
		Create: func(ctx context.Context, under client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return c.do(true, func() error { return under.Create(ctx, object, opts...) })
		},
		Apply: func(ctx context.Context, under client.WithWatch, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return c.do(true, func() error { return under.Apply(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, under client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return c.do(true, func() error { return under.Patch(ctx, object, patch, opts...) })
		},
		Delete: func(ctx context.Context, under client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			return c.do(true, func() error {
				c.deletions++
				return under.Delete(ctx, object, opts...)
			})
		},
		SubResourcePatch: func(ctx context.Context, under client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return c.do(true, func() error { return under.SubResource(sub).Patch(ctx, object, patch, opts...) })
		},
	})
}

// TestCallsUntilAllAreReady holds what a Microservice of three environments costs the API server, with caches that know everything: writes
// and readings of the operator, and no look at what it has made itself.
func TestCallsUntilAllAreReady(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.ms.Spec.Database, w.ms.Spec.Auth = nil, nil
	w.create(ctx)
	w.verify(ctx)
	// The finalizer and the Release, and six objects an environment; what was recorded, and the status: when the first environment begins, and
	// when each has verified the release, which begins the next.
	const objects, records, statuses = 2 + 3*6, 4, 4
	if most := objects + records + statuses; w.api.writes > most {
		t.Errorf("%d writes, want at most %d", w.api.writes, most)
	}
	// Five names an environment before they are taken, and two that tell early of the environments that wait.
	if most := 3*5 + 2*2; w.api.live > most {
		t.Errorf("%d readings, want at most %d", w.api.live, most)
	}
}
