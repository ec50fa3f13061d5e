package microservice_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var errKilled = errors.New("the operator was killed")

// calls are those of one operator to the API server: they are counted, cut off and spoiled.
type calls struct {
	all, writes int
	// killAt is the call before which the operator is killed; 0 for never. It and all calls after it fail, until the operator
	// is started again.
	killAt int
	// last is the write after which the operator is killed, so that it does not hear the answer; 0 for never.
	last int
	dead bool
	// refuse returns the error that a call gets in place of an answer.
	refuse func(write bool) error
	// lag decides whether a cache has not heard of anything new yet; nil for never.
	lag  *rand.Rand
	seen map[string]client.Object
	sets map[string]client.ObjectList
}

// do carries out one call, unless the operator is dead or the call is refused.
func (c *calls) do(write bool, call func() error) error {
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

func (c *calls) lags() bool { return c.lag != nil && c.lag.IntN(2) == 0 }

// client is one whose calls are these. One that is cached may read what was there before, but never anything older than what it
// has read already.
func (c *calls) client(t *testing.T, cached bool) client.Client {
	t.Helper()
	base, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return interceptor.NewClient(base, interceptor.Funcs{
		Get: func(ctx context.Context, under client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			return c.do(false, func() error {
				of := fmt.Sprintf("%T %s", object, key)
				if last, known := c.seen[of]; cached && known && c.lags() {
					reflect.ValueOf(object).Elem().Set(reflect.ValueOf(last.DeepCopyObject()).Elem())
					return nil
				}
				err := under.Get(ctx, key, object, opts...)
				if err == nil && cached && c.lag != nil {
					c.seen[of], _ = object.DeepCopyObject().(client.Object)
				}
				return err
			})
		},
		List: func(ctx context.Context, under client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return c.do(false, func() error {
				of := fmt.Sprintf("%T %v", list, opts)
				if last, known := c.sets[of]; cached && known && c.lags() {
					reflect.ValueOf(list).Elem().Set(reflect.ValueOf(last.DeepCopyObject()).Elem())
					return nil
				}
				err := under.List(ctx, list, opts...)
				if err == nil && cached && c.lag != nil {
					c.sets[of], _ = list.DeepCopyObject().(client.ObjectList)
				}
				return err
			})
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
			return c.do(true, func() error { return under.Delete(ctx, object, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, under client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return c.do(true, func() error { return under.SubResource(sub).Patch(ctx, object, patch, opts...) })
		},
	})
}
