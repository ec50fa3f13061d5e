package microservice_test

import (
	"context"
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/controllers/microservice"
)

// BenchmarkIdlePass looks at a Microservice of three environments in which there is nothing to do, through caches as in production. It has
// no database, as those of test/scale.
func BenchmarkIdlePass(b *testing.B) {
	ctx := b.Context()
	w := newWorld(ctx, b)
	w.ms.Spec.Database, w.ms.Spec.Auth = nil, nil
	w.create(ctx)
	w.verify(ctx)
	w.useCaches(ctx)
	w.reconcile(ctx)
	request := ctrl.Request{NamespacedName: w.key()}
	writes, live := w.api.writes, w.api.live
	b.ReportAllocs()
	for b.Loop() {
		if result, err := w.reconciler.Reconcile(ctx, request); err != nil || result.RequeueAfter != 0 {
			b.Fatalf("it was not at rest: %+v, %v", result, err)
		}
	}
	if w.api.writes != writes || w.api.live != live {
		b.Fatalf("%d writes and %d readings although there was nothing to do", w.api.writes-writes, w.api.live-live)
	}
}

// useCaches has the operator read from caches as the real one does.
func (w *world) useCaches(ctx context.Context) {
	w.t.Helper()
	options := microservice.CacheOptions(nil)
	options.Scheme = scheme
	reading, err := cache.New(config, options)
	w.must(err)
	w.must(microservice.RegisterIndexes(ctx, reading))
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	for _, object := range microservice.Cached() {
		_, err := reading.GetInformer(running, object, cache.BlockUntilSynced(false))
		w.must(err)
	}
	go func() { ended <- reading.Start(running) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the caches ended: %v", err)
		}
	})
	if !reading.WaitForCacheSync(running) {
		w.t.Fatal("the caches are not filled")
	}
	w.reconciler.Client = cachedClient{w.reconciler.Client, reading}
	w.reconciler.OwnedBy = microservice.OwnedByIndex
}

// cachedClient reads from caches and writes as another client does.
type cachedClient struct {
	client.Client
	cache client.Reader
}

func (c cachedClient) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	return c.cache.Get(ctx, key, object, opts...)
}

func (c cachedClient) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.cache.List(ctx, list, opts...)
}
