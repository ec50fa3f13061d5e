package clusters

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// syncTimeout is how long a cache may take to fill.
const syncTimeout = time.Minute

// session is a connection with one kubeconfig, from when it worked until it does not any more.
type session struct {
	kubeconfig []byte
	cluster    *Cluster
	timeout    time.Duration
	stop       func()
}

// close may be called on nil.
func (s *session) close() {
	if s != nil {
		s.stop()
	}
}

// open connects to the cluster that a kubeconfig leads to, and fills a cache.
func (c *connection) open(ctx context.Context, content []byte) (*session, *Away) {
	config, err := Kubeconfig(content)
	if err != nil {
		return nil, &Away{Reason: err.Error(), Unblock: "correct the kubeconfig in the Secret"}
	}
	s, err := c.connect(ctx, config)
	if err != nil {
		log.Info("cluster is away", "namespace", c.key.Namespace, "secret", c.key.Secret, "cause", err.Error())
		if away := Trouble(err); away != nil {
			return nil, away
		}
		return nil, &Away{Reason: "its API server does not answer as one does", Unblock: unblockOf(err)}
	}
	s.kubeconfig = content
	return s, nil
}

func (c *connection) connect(ctx context.Context, config *rest.Config) (*session, error) {
	options := c.clusters.options
	config.QPS = -1 // the API server's own fairness decides
	bounded := rest.CopyConfig(config)
	bounded.Timeout = options.Timeout // a watch must not end by it
	bounded.Wrap(options.Wrap)
	httpClient, err := rest.HTTPClientFor(bounded)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(bounded, httpClient)
	if err != nil {
		return nil, err
	}
	live, err := client.New(bounded, client.Options{Scheme: options.Cache.Scheme, HTTPClient: httpClient, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	id, err := c.identify(ctx, live)
	if err != nil {
		return nil, err
	}
	if _, err := mapper.RESTMapping(v1alpha1.GroupVersion.WithKind("Approval").GroupKind()); err != nil {
		return nil, fmt.Errorf("looking for the kind Approval: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	objects, err := c.fill(ctx, config, mapper)
	if err != nil {
		stop()
		return nil, err
	}
	cached, err := client.New(bounded, client.Options{
		Scheme: options.Cache.Scheme, HTTPClient: httpClient, Mapper: mapper, Cache: &client.CacheOptions{Reader: objects},
	})
	if err != nil {
		stop()
		return nil, err
	}
	endpoints, forget, err := c.clusters.forward(config)
	if err != nil {
		stop()
		return nil, err
	}
	return &session{timeout: options.Timeout, stop: func() { stop(); forget() }, cluster: &Cluster{
		Key: c.key, ID: id, Client: cached, Live: live, OwnedBy: options.OwnedBy, Endpoints: endpoints, Doubt: c.hasDoubts,
	}}, nil
}

// identify returns what the cluster of a reader is told by; empty if it is the operator's own.
func (c *connection) identify(ctx context.Context, other client.Reader) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.clusters.options.Timeout)
	defer cancel()
	id, err := identity(ctx, other)
	if err != nil {
		return "", err
	}
	own, err := identity(ctx, c.clusters.options.Home)
	if err == nil && id == own {
		return "", nil
	}
	return id, err
}

// identity is that of the one namespace which every cluster has and nobody can make anew.
func identity(ctx context.Context, reader client.Reader) (string, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := reader.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("reading namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}

// fill starts a cache and waits until it holds everything.
func (c *connection) fill(ctx context.Context, config *rest.Config, mapper meta.RESTMapper) (cache.Cache, error) {
	options := c.clusters.options
	with := options.Cache
	with.Mapper = mapper
	objects, err := cache.New(config, with)
	if err != nil {
		return nil, err
	}
	if err := options.Index(ctx, objects); err != nil {
		return nil, err
	}
	namespaces := &metav1.PartialObjectMetadata{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	for _, watched := range append([]client.Object{namespaces, &v1alpha1.Approval{}}, options.Watched...) {
		informer, err := objects.GetInformer(ctx, watched, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(c.handler()); err != nil {
			return nil, err
		}
	}
	go func() {
		if err := objects.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
			log.Error(err, "caching a cluster", "namespace", c.key.Namespace, "secret", c.key.Secret)
		}
	}()
	bounded, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if !objects.WaitForCacheSync(bounded) {
		return nil, fmt.Errorf("filling the cache: %w", context.DeadlineExceeded)
	}
	return objects, nil
}

// probe asks the API server for what it always has, twice if it must: one lost connection is nothing to freeze for.
func (s *session) probe(ctx context.Context) (err error) {
	for range 2 {
		bounded, cancel := context.WithTimeout(ctx, s.timeout)
		_, err = identity(bounded, s.cluster.Live)
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

// forward returns how the pods of a cluster are reached, and what forgets it.
func (c *Clusters) forward(config *rest.Config) (endpoints func(string) podclient.Endpoints, forget func(), err error) {
	f, err := newForwarder(config)
	if err != nil {
		return nil, nil, err
	}
	name := strconv.FormatInt(sessions.Add(1), 10)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forwarders[name] = f
	return func(namespace string) podclient.Endpoints { return forwarded{session: name, namespace: namespace} }, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.forwarders, name)
	}, nil
}
