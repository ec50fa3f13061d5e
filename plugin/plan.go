package plugin

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
	"github.com/mirubato/mirubato/plugin/screen"
)

func planCommand(s *session) *cobra.Command {
	var out output
	var file string
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "What a changed file would do: migrate, restart, push live, and through which gates",
		Long: `What applying a file would do. The API server is asked to apply it without keeping it, so that it is checked as it
would be; then the outcome is compared with what there is. Documents of other kinds in the file are passed over.`,
		GroupID: groupWatch,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			if file == "" {
				return usage("name the file with -f, or - for standard input")
			}
			c, err := s.connect()
			if err != nil {
				return err
			}
			return s.plan(cmd.Context(), c, file, out)
		},
	}
	out.bind(cmd, formatText, formatJSON, formatYAML)
	cmd.Flags().StringVarP(&file, "filename", "f", "", "the file, - for standard input")
	return cmd
}

// maxManifest is how many bytes a file may have: more than an API server takes.
const maxManifest = 4 << 20

func (s *session) plan(ctx context.Context, c *cluster, file string, out output) error {
	objects, err := s.manifests(file)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return fmt.Errorf("%s holds no Microservice of %s", file, v1alpha1.GroupVersion)
	}
	plans := map[string]change.Plan{}
	for _, object := range objects {
		before, after, err := c.dryRun(ctx, object)
		if err != nil {
			return err
		}
		plan, err := change.PlanOf(before, after)
		if err != nil {
			return err
		}
		name := object.GetNamespace() + "/" + object.GetName()
		plans[name] = plan
		if !out.isData() {
			if err := s.say(screen.Plan(name, plan)); err != nil {
				return err
			}
		}
	}
	if out.isData() {
		return s.data(out, plans)
	}
	return nil
}

// manifests reads the Microservices of a file.
func (s *session) manifests(file string) ([]*unstructured.Unstructured, error) {
	in := s.streams.In
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }() // only read
		in = opened
	}
	decoder := yaml.NewYAMLOrJSONDecoder(io.LimitReader(in, maxManifest), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case err == io.EOF: //nolint:errorlint // the decoder returns it as it is
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if object.GroupVersionKind() == v1alpha1.GroupVersion.WithKind("Microservice") {
			objects = append(objects, object)
		}
	}
}

// dryRun asks the API server what would come of an object. before is nil if there is none yet.
func (c *cluster) dryRun(ctx context.Context, object *unstructured.Unstructured) (before, after *v1alpha1.MicroserviceSpec, err error) {
	if object.GetNamespace() == "" {
		object.SetNamespace(c.namespace)
	}
	live := &v1alpha1.Microservice{}
	switch err := c.Get(ctx, client.ObjectKeyFromObject(object), live); {
	case err == nil:
		before = &live.Spec
	case !apierrors.IsNotFound(err) || !c.isInstalled():
		return nil, nil, c.explain(ctx, err, "microservice "+object.GetName())
	}
	applied := object.DeepCopy()
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.DryRunAll, client.ForceOwnership, client.FieldOwner("kubectl-mirubato"))
	if err != nil {
		return nil, nil, fmt.Errorf("the API server refuses %s: %w", object.GetName(), err)
	}
	outcome := &v1alpha1.Microservice{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(applied.Object, outcome); err != nil {
		return nil, nil, fmt.Errorf("reading what would come of %s: %w", object.GetName(), err)
	}
	return before, &outcome.Spec, nil
}
