package microservice_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// One API server serves all tests of the package; each test has namespaces of its own.
var (
	server *envtest.Environment
	config *rest.Config
	scheme = runtime.NewScheme()
	direct client.Client
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
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	server = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	defer func() { // also after a start that did not succeed, which leaves processes behind
		if serr := server.Stop(); serr != nil && err == nil {
			err = fmt.Errorf("stopping the API server: %w", serr)
		}
	}()
	if config, err = server.Start(); err != nil {
		return 0, fmt.Errorf("starting the API server: %w", err)
	}
	if direct, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	return run(), nil
}

// newNamespace makes a namespace with a name of its own.
func newNamespace(ctx context.Context, t testing.TB, labels map[string]string) string {
	t.Helper()
	namespace := &corev1.Namespace{}
	namespace.GenerateName = "test-"
	namespace.Labels = labels
	if err := direct.Create(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}
