// Package clusters is the way to the API servers that hold environments: the operator's own, and others that a kubeconfig in a
// Secret leads to. Each other cluster has its own client and its own cache, which wakes the Microservices that it holds objects of.
//
// The package owns connecting, looking after connections, and saying why a cluster is away. A cluster that is away keeps nobody
// waiting: it is looked for by a goroutine of its own, and its users are woken when something has changed. What is done in a cluster
// is the business of package microservice.
package clusters

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirubato/mirubato/controllers/podclient"
)

// DefaultKey is that of the kubeconfig in its Secret.
const DefaultKey = "kubeconfig"

// Key names the kubeconfig of a cluster. Its zero value is the operator's own cluster.
type Key struct {
	// Namespace is that of the Microservice, which holds the Secret.
	Namespace string
	Secret    string
	Key       string
}

// Own reports whether it is the operator's own cluster.
func (k Key) Own() bool { return k == Key{} }

// Cluster is an API server that holds environments.
type Cluster struct {
	Key Key
	// ID tells one cluster from another, whatever kubeconfig leads there. It is empty for the operator's own.
	ID string
	// Client reads from a cache that holds only what operators made, and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// OwnedBy selects the objects of a Microservice in the cache.
	OwnedBy func(types.NamespacedName) client.ListOption
	// Endpoints say where the pods of a namespace are reached.
	Endpoints func(namespace string) podclient.Endpoints
	// Doubt has the cluster looked at, after a call to it has failed.
	Doubt func()
}

// State of a cluster: either it is there, or it is away.
type State struct {
	Cluster *Cluster
	// Away says why it is away and how that is ended; nil if it is there.
	Away *Away
}

// Options are what connections are made with.
type Options struct {
	// Home reads Secrets, and what tells the operator's own cluster from others, from its API server.
	Home client.Reader
	// Cache is how caches are filtered, Index adds the indexes that OwnedBy reads by.
	Cache   cache.Options
	Index   func(context.Context, client.FieldIndexer) error
	OwnedBy func(types.NamespacedName) client.ListOption
	// Watched are the types whose changes wake the Microservices that Owners names.
	Watched []client.Object
	Owners  func(client.Object) []types.NamespacedName
	// Interval is how often a cluster and its Secret are looked at; Timeout is that of a call. Zero: 10 and 5 seconds.
	Interval, Timeout time.Duration
	// Wrap goes around what calls pass through, but for those that fill caches and reach pods; nil for nothing.
	Wrap transport.WrapperFunc
}

// Clusters are those in use. It may be used by several goroutines.
type Clusters struct {
	options Options

	mu sync.Mutex
	// start has a connection look after its cluster; it is nil until Start.
	start       func(*connection)
	queue       workqueue.TypedRateLimitingInterface[reconcile.Request]
	connections map[Key]*connection
	forwarders  map[string]*forwarder
	running     sync.WaitGroup
}

// New returns one that is connected to nothing.
func New(options Options) *Clusters {
	if options.Interval == 0 {
		options.Interval = 10 * time.Second
	}
	if options.Timeout == 0 {
		options.Timeout = 5 * time.Second
	}
	return &Clusters{options: options, connections: map[Key]*connection{}, forwarders: map[string]*forwarder{}}
}

// Start keeps connections until ctx ends, and ends when the last one has. It is for a manager.
func (c *Clusters) Start(ctx context.Context) error {
	c.mu.Lock()
	c.start = func(connection *connection) {
		ctx, cancel := context.WithCancel(ctx)
		connection.cancel = cancel
		c.running.Go(func() { connection.run(ctx) })
	}
	for _, connection := range c.connections {
		c.start(connection)
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.running.Wait()
	return nil
}

// Source is what wakes a controller: what happens in the clusters, and to them.
func (c *Clusters) Source() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.queue = queue
		return nil
	})
}

// Use says which clusters a Microservice uses from now on, and returns their states. It never waits. A cluster that nobody uses any
// more is let go. To nil all clusters but the operator's own are away.
func (c *Clusters) Use(user types.NamespacedName, keys ...Key) map[Key]State {
	out := map[Key]State{}
	if c == nil {
		for _, key := range keys {
			out[key] = State{Away: connecting}
		}
		return out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		used := c.connections[key]
		if used == nil {
			used = newConnection(c, key)
			c.connections[key] = used
			if c.start != nil {
				c.start(used)
			}
		}
		used.users[user] = true
		out[key] = used.state
	}
	for key, other := range c.connections {
		if !slices.Contains(keys, key) {
			delete(other.users, user)
		}
		if len(other.users) == 0 {
			other.end()
			delete(c.connections, key)
		}
	}
	return out
}

// wake has Microservices looked at; the caller holds the lock.
func (c *Clusters) wake(microservices ...types.NamespacedName) {
	if c.queue == nil {
		return
	}
	for _, key := range microservices {
		c.queue.Add(reconcile.Request{NamespacedName: key})
	}
}
