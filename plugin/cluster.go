package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// target is which cluster and which namespace a command is about, told by the flags that kubectl has.
type target struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
}

func (t *target) bind(flags *pflag.FlagSet) {
	t.rules = clientcmd.NewDefaultClientConfigLoadingRules()
	flags.StringVar(&t.rules.ExplicitPath, "kubeconfig", "", "path of the kubeconfig")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.ContextOverrideFlags.Namespace.ShortName = "n"
	clientcmd.BindOverrideFlags(&t.overrides, flags, names)
}

// cluster is a connection to an API server.
type cluster struct {
	client.WithWatch
	config    *rest.Config
	namespace string
}

var errNotConfigured = errors.New("no cluster is configured: set KUBECONFIG, or name a file with --kubeconfig")

// connect reads the kubeconfig. It asks the API server nothing yet.
func (s *session) connect() (*cluster, error) {
	if s.connected != nil {
		return s.connected, nil
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(s.target.rules, &s.target.overrides)
	config, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errNotConfigured
	}
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.UserAgent = "kubectl-mirubato/" + s.version
	// A person waits: what one command asks is never held back by the client itself.
	config.QPS, config.Burst = -1, -1
	if config.Timeout == 0 {
		config.Timeout = 30 * time.Second
	}
	connected, err := newClient(config)
	if err != nil {
		return nil, err
	}
	return &cluster{WithWatch: connected, config: config, namespace: namespace}, nil
}

func newClient(config *rest.Config) (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	// The kinds are known, so nobody has to ask the API server for its list of them first.
	connected, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper(scheme)})
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return connected, nil
}

// mapper maps the kinds that the commands use, all but Namespaces of which lie in namespaces.
func mapper(scheme *runtime.Scheme) meta.RESTMapper {
	known := meta.NewDefaultRESTMapper(scheme.PreferredVersionAllGroups())
	for kind := range scheme.AllKnownTypes() {
		scope := meta.RESTScopeNamespace
		if kind.Kind == "Namespace" || kind.Group == "authentication.k8s.io" || kind.Kind == "SelfSubjectAccessReview" {
			scope = meta.RESTScopeRoot
		}
		known.Add(kind, scope)
	}
	return known
}

// microservice reads one by name.
func (c *cluster) microservice(ctx context.Context, name string) (*v1alpha1.Microservice, error) {
	ms := &v1alpha1.Microservice{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: c.namespace, Name: name}, ms); err != nil {
		return nil, c.explain(ctx, err, "microservice "+name)
	}
	return ms, nil
}

// fromCache lets an API server answer a list from its memory, as informers do, though it may be some milliseconds behind. Otherwise one whose
// etcd is older than 3.5.13 reads and decodes all objects of the namespace, for seconds where there are thousands, whatever the labels select.
func fromCache() client.ListOption {
	return &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}
}

// microservices reads those of one namespace, or of all.
func (c *cluster) microservices(ctx context.Context, all bool) ([]v1alpha1.Microservice, error) {
	list := &v1alpha1.MicroserviceList{}
	options := []client.ListOption{fromCache()}
	if !all {
		options = append(options, client.InNamespace(c.namespace))
	}
	if err := c.List(ctx, list, options...); err != nil {
		return nil, c.explain(ctx, err, "microservices")
	}
	return list.Items, nil
}

// releases reads those of a Microservice, the newest first.
func (c *cluster) releases(ctx context.Context, ms *v1alpha1.Microservice) ([]v1alpha1.Release, error) {
	list := &v1alpha1.ReleaseList{}
	// By label, so that the API server does not send the releases of all others in the namespace as well.
	own := ownership.ByMicroservice(client.ObjectKeyFromObject(ms))
	if err := c.List(ctx, list, client.InNamespace(ms.Namespace), own, fromCache()); err != nil {
		return nil, c.explain(ctx, err, "releases")
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Release) int { return int(b.Spec.Number - a.Spec.Number) })
	return list.Items, nil
}

// namedReleases reads those that the status of a Microservice names, the newest first, and leaves out those that are gone. What a screen of the
// present shows needs no others, and reads them as they are now.
func (c *cluster) namedReleases(ctx context.Context, ms *v1alpha1.Microservice) ([]v1alpha1.Release, error) {
	names := []string{ms.Status.Release}
	for _, e := range ms.Status.Environments {
		names = append(names, e.Target, e.Release, e.Verified)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
	found := make([]v1alpha1.Release, len(names))
	group, reading := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() error {
			err := c.Get(reading, types.NamespacedName{Namespace: ms.Namespace, Name: name}, &found[i])
			return client.IgnoreNotFound(err)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, c.explain(ctx, err, "releases")
	}
	found = slices.DeleteFunc(found, func(r v1alpha1.Release) bool { return r.Name == "" })
	slices.SortFunc(found, func(a, b v1alpha1.Release) int { return int(b.Spec.Number - a.Spec.Number) })
	return found, nil
}

// explain turns an answer of the API server into what is wrong and what to do about it.
func (c *cluster) explain(ctx context.Context, err error, what string) error {
	switch {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err) && !c.isInstalled():
		return fmt.Errorf("this cluster has no Mirubato: its API server does not know %s; install the operator first, or name another --context", v1alpha1.GroupVersion)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no %s in namespace %s%s", what, c.namespace, c.others(ctx))
	}
	return fmt.Errorf("reading %s: %w", what, err)
}

// isInstalled asks whether the API server knows our kinds. If it does not say, it is taken to know them.
func (c *cluster) isInstalled() bool {
	asking, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return true
	}
	_, err = asking.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	return !apierrors.IsNotFound(err)
}

// mostNamed is how many other objects an error names.
const mostNamed = 10

// others names what there is instead, as far as the caller may see it: those of the namespace that was asked first.
// What cannot be listed is not named, it is the answer to another question that failed.
func (c *cluster) others(ctx context.Context) string {
	near, far := &v1alpha1.MicroserviceList{}, &v1alpha1.MicroserviceList{}
	_ = c.List(ctx, near, client.InNamespace(c.namespace), client.Limit(mostNamed))
	_ = c.List(ctx, far, client.Limit(mostNamed))
	var names []string
	for _, ms := range near.Items {
		names = append(names, ms.Namespace+"/"+ms.Name)
	}
	for _, ms := range far.Items {
		if ms.Namespace != c.namespace && len(names) < mostNamed {
			names = append(names, ms.Namespace+"/"+ms.Name)
		}
	}
	if len(names) == 0 {
		return "; kubectl mirubato status lists those that there are, -n names another namespace"
	}
	return "; the cluster has " + strings.Join(names, ", ")
}

// plain is the text of an error without the layers that mean nothing to the reader.
func plain(err error) string {
	var status apierrors.APIStatus
	var network net.Error
	var address *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &status) && status.Status().Reason == metav1.StatusReasonForbidden:
		return "you may not do this: " + status.Status().Message
	case errors.As(err, &status) && status.Status().Reason == metav1.StatusReasonUnauthorized:
		return "the cluster does not know you: log in again, or name another --context"
	case errors.As(err, &address) && errors.As(err, &network):
		return fmt.Sprintf("the cluster cannot be reached: %v; check --context and the network", address)
	}
	return err.Error()
}

// streaming is the configuration for answers that have no end.
func (c *cluster) streaming() *rest.Config {
	config := rest.CopyConfig(c.config)
	config.Timeout = 0
	return config
}

// endless is a client whose answers may go on as long as they like.
func (c *cluster) endless() (client.WithWatch, error) { return newClient(c.streaming()) }
