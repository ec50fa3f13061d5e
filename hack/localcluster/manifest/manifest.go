// Package manifest turns YAML with a few blanks into objects and brings them into a cluster. It owns rendering,
// server-side apply and waiting, not what the objects are.
package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldOwner is whose fields applied objects have.
const fieldOwner = "localcluster"

// Render reads every file of files that pattern matches, in the order of their names, fills in values and returns the
// objects in them. A blank without a value is an error.
func Render(files fs.FS, pattern string, values any) ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, fmt.Errorf("listing manifests: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		parsed, err := template.New(name).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("reading the blanks of a manifest: %w", err)
		}
		var filled bytes.Buffer
		if err := parsed.Execute(&filled, values); err != nil {
			return nil, fmt.Errorf("filling in a manifest: %w", err)
		}
		decoded, err := Decode(&filled)
		if err != nil {
			return nil, fmt.Errorf("decoding manifest %s: %w", name, err)
		}
		objects = append(objects, decoded...)
	}
	return objects, nil
}

// Decode returns the objects of YAML documents.
func Decode(documents io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(documents, 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// Client returns a client for the cluster of a kubeconfig, that knows the types built into Kubernetes.
func Client(kubeconfig string) (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("learning the built-in types: %w", err)
	}
	config.QPS, config.Burst = 50, 100
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return c, nil
}

// Apply brings objects into the cluster in their order. Applying the same again changes nothing.
func Apply(ctx context.Context, c client.Client, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		// The answer is written into what is sent, so it gets a copy.
		configuration := client.ApplyConfigurationFromUnstructured(object.DeepCopy())
		if err := c.Apply(ctx, configuration, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// Wait calls ready until it is true. what completes the sentence "waiting for ..."; ready's error is not final, as a
// cluster that is coming up refuses some calls, but the last one is reported when time is over.
func Wait(ctx context.Context, timeout time.Duration, what string, ready func(context.Context) (bool, error)) error {
	const interval = 100 * time.Millisecond
	var last error
	err := wait.PollUntilContextTimeout(ctx, interval, timeout, true, func(ctx context.Context) (bool, error) {
		done, err := ready(ctx)
		if err != nil {
			last = err
		}
		return done && err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, errors.Join(err, last))
	}
	return nil
}
