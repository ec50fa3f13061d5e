// Package charts_test renders the charts with Helm's own engine over a matrix of values, and holds what comes out against the types of
// the API, the Pod Security Standards, config/default, and a real API server.
package charts_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

const (
	operatorChart = "mirubato-operator"
	serviceChart  = "mirubato-service"
	// kubernetes is the version that is rendered for where a case names no other.
	kubernetes = "v1.37.0"
)

// values are what a user gives, as in a file.
type values = map[string]any

func parse(t testing.TB, text string) values {
	t.Helper()
	out, err := loader.LoadValues(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// loaded reads each chart once: nothing that renders it changes it.
var loaded = map[string]func() (*chart.Chart, error){
	operatorChart: sync.OnceValues(func() (*chart.Chart, error) { return loader.LoadDir(operatorChart) }),
	serviceChart:  sync.OnceValues(func() (*chart.Chart, error) { return loader.LoadDir(serviceChart) }),
}

// rendering is what Helm would send to the API server, hooks included, and what it would tell the user.
type rendering struct {
	documents []string
	notes     string
}

// render installs a chart into nothing.
func render(name string, given values, version string) (rendering, error) {
	source, err := loaded[name]()
	if err != nil {
		return rendering{}, err
	}
	parsed, err := common.ParseKubeVersion(version)
	if err != nil {
		return rendering{}, err
	}
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *parsed
	release := map[string]common.ReleaseOptions{
		operatorChart: {Name: "mirubato-operator", Namespace: "mirubato-system", IsInstall: true, Revision: 1},
		serviceChart:  {Name: "scores", Namespace: "mirubato", IsInstall: true, Revision: 1},
	}[name]
	all, err := util.ToRenderValues(source, given, release, capabilities)
	if err != nil {
		return rendering{}, err
	}
	files, err := engine.Render(source, all)
	if err != nil {
		return rendering{}, err
	}
	out := rendering{}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(file, "NOTES.txt") {
			out.notes = files[file]
			continue
		}
		documents, err := split(files[file])
		if err != nil {
			return rendering{}, fmt.Errorf("%s: %w", file, err)
		}
		out.documents = append(out.documents, documents...)
	}
	return out, nil
}

// split returns the documents of a text that hold anything.
func split(text string) ([]string, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	var out []string
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var content any
		if err := yaml.Unmarshal(document, &content); err != nil {
			return nil, err
		}
		if content != nil {
			out = append(out, string(document))
		}
	}
}

func mustRender(t testing.TB, name string, given values, version string) rendering {
	t.Helper()
	out, err := render(name, given, version)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r rendering) objects(t testing.TB) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, document := range r.documents {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		out = append(out, object)
	}
	return out
}

// key names an object among those of a rendering.
func key(object *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}

// find returns the only object of that kind and name, or nil.
func find(t testing.TB, r rendering, kind, name string) *unstructured.Unstructured {
	t.Helper()
	var found *unstructured.Unstructured
	for _, object := range r.objects(t) {
		if object.GetKind() == kind && object.GetName() == name {
			if found != nil {
				t.Fatalf("there are two of %s %s", kind, name)
			}
			found = object
		}
	}
	return found
}

// strict decodes documents into the types of the API and refuses fields that those do not have.
func strict(t testing.TB) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}
