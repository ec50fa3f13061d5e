package plugin_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin"
)

// One API server serves all tests of the package; each test has namespaces of its own. bare is what the plugin said of it before
// it knew our kinds.
var (
	server envtest.Environment
	direct client.Client
	bare   outcome
)

func TestMain(m *testing.M) {
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func withServer(run func() int) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, fmt.Errorf("KUBEBUILDER_ASSETS does not name the directory of kube-apiserver and etcd: run these tests by make test")
	}
	ctrl.SetLogger(logr.Discard()) // failures are told by the tests
	defer func() {                 // also after a start that did not succeed, which leaves processes behind
		if serr := server.Stop(); serr != nil && err == nil {
			err = fmt.Errorf("stopping the API server: %w", serr)
		}
	}()
	config, err := server.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	home, err := os.MkdirTemp("", "kubeconfig")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(home) }() // a leftover of a few bytes
	file, err := kubeconfig(home, "admin", "system:masters")
	if err != nil {
		return 0, err
	}
	bare = call(context.Background(), "", "--kubeconfig", file, "status", "scores")
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{filepath.Join("..", "config", "crd", "bases")}}); err != nil {
		return 0, fmt.Errorf("installing the CRDs: %w", err)
	}
	if direct, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	return run(), nil
}

// kubeconfig writes a file with which somebody is known to the API server.
func kubeconfig(home, name string, groups ...string) (string, error) {
	user, err := server.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return "", err
	}
	data, err := user.KubeConfig()
	if err != nil {
		return "", err
	}
	file := filepath.Join(home, name)
	return file, os.WriteFile(file, data, 0o600)
}

// outcome is what one command line came to.
type outcome struct {
	code     int
	out, err string
}

func call(ctx context.Context, in string, args ...string) outcome {
	var out, problems bytes.Buffer
	code := plugin.Run(ctx, plugin.Streams{In: strings.NewReader(in), Out: &out, Err: &problems}, "0.1.0", args)
	return outcome{code, out.String(), problems.String()}
}

// world is a Microservice in a namespace of its own, whose only environment is another namespace.
type world struct {
	t          *testing.T
	home       string
	ms         *v1alpha1.Microservice
	production string
	kubeconfig string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, home: t.TempDir()}
	w.kubeconfig = w.user("admin", "system:masters")
	w.production = newNamespace(t)
	w.ms = &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Name: "scores", Namespace: newNamespace(t)},
		Spec: v1alpha1.MicroserviceSpec{
			Image:        "registry.example.com/scores:1.0.0",
			Environments: []v1alpha1.EnvironmentSpec{{Name: "production", Namespace: w.production}},
		},
	}
	if err := direct.Create(t.Context(), w.ms); err != nil {
		t.Fatal(err)
	}
	if err := known(t.Context(), w.ms, &v1alpha1.MicroserviceList{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := direct.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

func (w *world) user(name string, groups ...string) string {
	w.t.Helper()
	file, err := kubeconfig(w.home, name, groups...)
	if err != nil {
		w.t.Fatal(err)
	}
	return file
}

// viewer is somebody who may only read in the world's namespaces.
func (w *world) viewer() string {
	w.t.Helper()
	file := w.user("viewer")
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "viewer-"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
	}}
	if err := direct.Create(w.t.Context(), role); err != nil {
		w.t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "viewer", Namespace: w.ms.Namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "viewer"}},
	}
	if err := direct.Create(w.t.Context(), binding); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// as carries out a command line in the world's namespace.
func (w *world) as(kubeconfig, in string, args ...string) outcome {
	return call(w.t.Context(), in, append([]string{"--kubeconfig", kubeconfig, "-n", w.ms.Namespace}, args...)...)
}

func (w *world) run(args ...string) outcome { return w.as(w.kubeconfig, "", args...) }

// observe writes the status as the operator would, whoever else writes it meanwhile.
func (w *world) observe(change func(*v1alpha1.MicroserviceStatus)) {
	w.t.Helper()
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return w.observeOnce(change) }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) observeOnce(change func(*v1alpha1.MicroserviceStatus)) error {
	if err := direct.Get(w.t.Context(), client.ObjectKeyFromObject(w.ms), w.ms); err != nil {
		return err
	}
	w.ms.Status.ObservedGeneration = w.ms.Generation
	w.ms.Status.Release = "scores-1"
	w.ms.Status.Environments = []v1alpha1.EnvironmentStatus{{
		Name: "production", Namespace: w.production, Target: "scores-1", Step: v1alpha1.StepVerified, Release: "scores-1", Verified: "scores-1", PlanHash: "0123",
	}}
	change(&w.ms.Status)
	if err := direct.Status().Update(w.t.Context(), w.ms); err != nil {
		return err
	}
	return known(w.t.Context(), w.ms, &v1alpha1.MicroserviceList{})
}

// known waits until the API server's cache, from which lists are answered, has what was written.
func known(ctx context.Context, written client.Object, list client.ObjectList) error {
	want, err := strconv.ParseInt(written.GetResourceVersion(), 10, 64)
	if err != nil {
		return err
	}
	for {
		cached := &client.ListOptions{Namespace: written.GetNamespace(), Raw: &metav1.ListOptions{ResourceVersion: "0"}}
		if err := direct.List(ctx, list, cached); err != nil {
			return err
		}
		found := false
		err := meta.EachListItem(list, func(item runtime.Object) error {
			object, err := meta.Accessor(item)
			if err != nil || object.GetName() != written.GetName() {
				return err
			}
			got, err := strconv.ParseInt(object.GetResourceVersion(), 10, 64)
			found = got >= want
			return err
		})
		if err != nil || found {
			return err
		}
	}
}

func (w *world) waits(step v1alpha1.Step, waiting v1alpha1.WaitType) {
	w.t.Helper()
	w.observe(func(s *v1alpha1.MicroserviceStatus) {
		s.Environments[0].Step = step
		s.Environments[0].WaitingFor = &v1alpha1.WaitingFor{Type: waiting, Message: "it waits", Since: metav1.Now()}
	})
}

func (w *world) expect(got outcome, code int, words ...string) {
	w.t.Helper()
	if got.code != code {
		w.t.Errorf("exit code %d, want %d\nout: %s\nerr: %s", got.code, code, got.out, got.err)
	}
	for _, word := range words {
		if !strings.Contains(got.out+got.err, word) {
			w.t.Errorf("nothing says %q\nout: %s\nerr: %s", word, got.out, got.err)
		}
	}
	if _, message, failed := strings.Cut(got.err, "error: "); failed && strings.Contains(strings.TrimSpace(message), "\n") {
		w.t.Errorf("an error takes more than a line: %s", message)
	}
}
