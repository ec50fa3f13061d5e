//go:build scale

package scale

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// home is the namespace of the Microservices.
const home = "home"

// serviceRange has an address for each Service of a thousand Microservices in three environments, and for their canaries; what is usual for
// tests has 254.
const serviceRange = "10.0.0.0/16"

// root is that of the repository.
var root = filepath.Join("..", "..")

// world is an API server, an operator, and what plays the nodes.
type world struct {
	t        *testing.T
	client   client.Client
	fleet    *fleet
	nodes    *nodes
	operator *operator
	// requests is the file of the operator's requests, empty if they are not told apart. So many lines of it were told.
	requests string
	told     int
}

func newWorld(ctx context.Context, t *testing.T) *world {
	t.Helper()
	ctrl.SetLogger(logr.Discard()) // what goes wrong is told by the test
	w := &world{t: t}
	server := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join(root, "config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	t.Cleanup(func() { // also after a start that did not succeed, which leaves processes behind
		if err := server.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	server.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", serviceRange)
	if *calls {
		w.audit(server)
	}
	config, err := server.Start()
	w.must(err)
	config.QPS = -1 // what is measured must not wait for its measurement
	scheme := runtime.NewScheme()
	w.must(clientgoscheme.AddToScheme(scheme))
	w.must(v1alpha1.AddToScheme(scheme))
	w.client, err = client.New(config, client.Options{Scheme: scheme})
	w.must(err)
	w.createNamespaces(ctx)
	w.fleet = &fleet{ready: map[string]bool{}}
	w.nodes = startNodes(ctx, t, config, scheme, w.fleet)
	kubeconfig := w.kubeconfig(ctx, server)
	w.operator = newOperator(ctx, t, kubeconfig)
	w.operator.start(ctx)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// each does something n times, some at once.
func (w *world) each(n int, do func(i int) error) {
	w.t.Helper()
	const atOnce = 16
	var next atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, atOnce)
	for range atOnce {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		w.t.Fatal(err)
	}
}

// createNamespaces makes those of all environments, which consent: that people have done so is not what is measured.
func (w *world) createNamespaces(ctx context.Context) {
	w.t.Helper()
	w.must(w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}}))
	w.each(*count*len(environments), func(i int) error {
		of := name(i / len(environments))
		return w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: of + "-" + environments[i%len(environments)], Labels: map[string]string{v1alpha1.ConsentPrefix + home + "." + of: v1alpha1.ConsentValue},
		}})
	})
}

// kubeconfig is that of a user with the rights of config/rbac/role.yaml and no others.
func (w *world) kubeconfig(ctx context.Context, server *envtest.Environment) []byte {
	w.t.Helper()
	const user = operatorUser
	role := &rbacv1.ClusterRole{}
	w.read(role, "config", "rbac", "role.yaml")
	role.Name = user
	w.must(w.client.Create(ctx, role))
	w.must(w.client.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	authenticated, err := server.AddUser(envtest.User{Name: user}, nil)
	w.must(err)
	out, err := authenticated.KubeConfig()
	w.must(err)
	return out
}

// read reads an object from a file of the repository.
func (w *world) read(object client.Object, path ...string) {
	w.t.Helper()
	encoded, err := os.ReadFile(filepath.Join(root, filepath.Join(path...)))
	w.must(err)
	if err := yaml.Unmarshal(encoded, object); err != nil {
		w.t.Fatal(fmt.Errorf("reading %s: %w", path, err))
	}
}

// fleet knows which Microservices are ready. It is told by a watch, so that asking costs the API server nothing.
type fleet struct {
	mu    sync.Mutex
	ready map[string]bool
	n     int
	// awaited is closed when as many as wanted are ready.
	awaited chan struct{}
	wanted  int
}

func (f *fleet) watch(ctx context.Context, from cache.Cache) error {
	informer, err := from.GetInformer(ctx, &v1alpha1.Microservice{})
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: f.see, UpdateFunc: func(_, object any) { f.see(object) },
	})
	return err
}

func (f *fleet) see(object any) {
	ms, ok := object.(*v1alpha1.Microservice)
	if !ok {
		return
	}
	ready := ms.Status.ObservedGeneration == ms.Generation && meta.IsStatusConditionTrue(ms.Status.Conditions, v1alpha1.ConditionReady)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch before := f.ready[ms.Name]; {
	case ready && !before:
		f.n++
	case before && !ready:
		f.n--
	}
	f.ready[ms.Name] = ready
	f.tell()
}

// tell closes what is waited on, if there are enough; the caller holds the lock.
func (f *fleet) tell() {
	if f.awaited != nil && f.n >= f.wanted {
		close(f.awaited)
		f.awaited = nil
	}
}

func (f *fleet) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// settled returns what is closed once so many are ready at the same time.
func (f *fleet) settled(wanted int) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.awaited == nil || f.wanted != wanted {
		f.awaited, f.wanted = make(chan struct{}), wanted
	}
	out := f.awaited
	f.tell()
	return out
}
