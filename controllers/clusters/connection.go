package clusters

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// connection looks after one cluster for as long as somebody uses it.
type connection struct {
	clusters *Clusters
	key      Key
	cancel   context.CancelFunc
	doubt    chan struct{}
	// users and state are guarded by Clusters.mu.
	users map[types.NamespacedName]bool
	state State
}

// firstPause is how soon a cluster that is away is looked for again, twice as long after each further attempt, and never longer than
// Options.Interval.
const firstPause = time.Second

func newConnection(c *Clusters, key Key) *connection {
	return &connection{clusters: c, key: key, doubt: make(chan struct{}, 1), users: map[types.NamespacedName]bool{}, state: State{Away: connecting}}
}

// end lets it go; the caller holds the lock.
func (c *connection) end() {
	if c.cancel != nil {
		c.cancel()
	}
}

// run connects, and looks again and again, until ctx ends.
func (c *connection) run(ctx context.Context) {
	var current *session
	defer func() { current.close() }()
	pause := firstPause
	for ctx.Err() == nil {
		next, away := c.look(ctx, current)
		if ctx.Err() != nil {
			next.close()
			return
		}
		if next != current {
			current.close()
			current = next
		}
		c.set(current, away)
		wait := c.clusters.options.Interval
		if away != nil {
			wait, pause = min(pause, wait), pause*2
		} else {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-c.doubt:
		}
	}
}

// look returns a session that works, which is the present one as long as that does and its kubeconfig is still the same.
func (c *connection) look(ctx context.Context, current *session) (*session, *Away) {
	content, away := c.kubeconfig(ctx)
	switch {
	case away != nil:
		return nil, away
	case current == nil || !bytes.Equal(current.kubeconfig, content):
		return c.open(ctx, content)
	}
	if err := current.probe(ctx); err != nil {
		return nil, Trouble(err)
	}
	return current, nil
}

// kubeconfig reads the Secret. It is read by name and never watched: a watch needs the right to list all Secrets.
func (c *connection) kubeconfig(ctx context.Context) ([]byte, *Away) {
	ctx, cancel := context.WithTimeout(ctx, c.clusters.options.Timeout)
	defer cancel()
	secret := &corev1.Secret{}
	err := c.clusters.options.Home.Get(ctx, client.ObjectKey{Namespace: c.key.Namespace, Name: c.key.Secret}, secret)
	switch content := secret.Data[c.key.Key]; {
	case apierrors.IsNotFound(err):
		return nil, &Away{
			Reason:  fmt.Sprintf("Secret %s does not exist in namespace %s", c.key.Secret, c.key.Namespace),
			Unblock: fmt.Sprintf("create it with a kubeconfig under key %s", c.key.Key),
		}
	case err != nil:
		return nil, &Away{Reason: "its Secret cannot be read"}
	case len(content) == 0:
		return nil, &Away{
			Reason:  fmt.Sprintf("Secret %s in namespace %s has no value for key %s", c.key.Secret, c.key.Namespace, c.key.Key),
			Unblock: "add a kubeconfig under that key, or name another key in environments[].cluster.kubeconfigSecretRef.key",
		}
	default:
		return content, nil
	}
}

// set publishes what was found, and wakes the users if it is something new.
func (c *connection) set(s *session, away *Away) {
	state := State{Away: away}
	if away == nil {
		state.Cluster = s.cluster
	}
	c.clusters.mu.Lock()
	defer c.clusters.mu.Unlock()
	same := state.Cluster == c.state.Cluster && (away == nil) == (c.state.Away == nil) && (away == nil || *away == *c.state.Away)
	c.state = state
	if !same {
		c.clusters.wake(slices.Collect(maps.Keys(c.users))...)
	}
}

func (c *connection) hasDoubts() {
	select {
	case c.doubt <- struct{}{}:
	default: // it is about to be looked at
	}
}

// handler wakes those whom a change in the cluster concerns.
func (c *connection) handler() toolscache.ResourceEventHandler {
	wake := func(object any) {
		if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if object, ok := object.(client.Object); ok {
			c.clusters.mu.Lock()
			defer c.clusters.mu.Unlock()
			if _, isNamespace := object.(*metav1.PartialObjectMetadata); isNamespace {
				c.clusters.wake(slices.Collect(maps.Keys(c.users))...)
				return
			}
			c.clusters.wake(c.clusters.options.Owners(object)...)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{AddFunc: wake, DeleteFunc: wake, UpdateFunc: func(before, after any) {
		if !sameVersion(before, after) {
			wake(after)
		}
	}}
}

// sameVersion reports whether a relist has brought nothing new.
func sameVersion(before, after any) bool {
	b, bok := before.(client.Object)
	a, aok := after.(client.Object)
	return bok && aok && b.GetResourceVersion() == a.GetResourceVersion()
}

// sessions are numbered, so that connections to pods of one are never used by the next.
var sessions atomic.Int64

var log = ctrl.Log.WithName("clusters")
