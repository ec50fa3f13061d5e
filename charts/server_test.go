package charts_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// monitors is a CRD for the ServiceMonitor, which is not ours: its fields are held against the type elsewhere.
func monitors() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "servicemonitors.monitoring.coreos.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "monitoring.coreos.com",
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "servicemonitors", Kind: "ServiceMonitor"},
			Scope: apiextensionsv1.NamespaceScoped,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: new(true),
				}},
			}},
		},
	}
}

// TestServerTakesEveryRendering applies each rendering as Helm does, on the server's side, without storing anything.
func TestServerTakesEveryRendering(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS does not name the directory of kube-apiserver and etcd: run these tests by make test")
	}
	log.SetLogger(logr.Discard()) // failures are told by the test
	server := &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
		CRDs: []*apiextensionsv1.CustomResourceDefinition{monitors()}, ControlPlaneStartTimeout: 2 * time.Minute,
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	config, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{} // most objects are alike in most renderings
	eachRendering(t, func(t *testing.T, _ variant, _ values, r rendering) {
		t.Helper()
		for i, object := range r.objects(t) {
			if taken[r.documents[i]] {
				continue
			}
			taken[r.documents[i]] = true
			if err := dryRun(t.Context(), direct, object); err != nil {
				t.Errorf("%s: %v", key(object), err)
			}
		}
	})
}

// dryRun applies an object and stores nothing but the namespace that it lies in.
func dryRun(ctx context.Context, direct client.Client, object *unstructured.Unstructured) error {
	if name := object.GetNamespace(); name != "" {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := direct.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("making its namespace: %w", err)
		}
	}
	return direct.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("helm"), client.ForceOwnership, client.DryRunAll)
}
