package charts_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

func TestEveryRenderingIsSound(t *testing.T) {
	decoder := strict(t)
	standard, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	eachRendering(t, func(t *testing.T, v variant, _ values, r rendering) {
		t.Helper()
		seen := map[string]bool{}
		for _, object := range r.objects(t) {
			if seen[key(object)] {
				t.Errorf("%s is there twice", key(object))
			}
			seen[key(object)] = true
		}
		if len(r.documents) == 0 || !strings.Contains(r.notes, "helm test") {
			t.Errorf("%s renders %d objects, and tells:\n%s", v.chart, len(r.documents), r.notes)
		}
		for _, document := range r.documents {
			object, _, err := decoder.Decode([]byte(document), nil, nil)
			if err != nil {
				t.Errorf("%v in:\n%s", err, document)
				continue
			}
			switch object := object.(type) {
			case *appsv1.Deployment:
				expectRestricted(t, standard, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec)
			case *corev1.Pod:
				expectRestricted(t, standard, object.ObjectMeta, object.Spec)
			}
		}
	})
}

// expectRestricted holds a pod to the restricted Pod Security Standard, and to what the scheduler and the kubelet should be told.
func expectRestricted(t *testing.T, standard policy.Evaluator, meta metav1.ObjectMeta, spec corev1.PodSpec) {
	t.Helper()
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range standard.EvaluatePod(level, &meta, &spec) {
		if !result.Allowed {
			t.Errorf("not restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	for _, container := range spec.Containers {
		if container.SecurityContext.ReadOnlyRootFilesystem == nil || !*container.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("container %s may write to its file system", container.Name)
		}
	}
}

func TestLintFindsNothing(t *testing.T) {
	expectClean := func(t *testing.T, name string, given values) {
		t.Helper()
		version, err := common.ParseKubeVersion(kubernetes)
		if err != nil {
			t.Fatal(err)
		}
		linted := lint.RunAll(name, given, "mirubato", lint.WithKubeVersion(version))
		for _, message := range linted.Messages {
			if message.Severity >= support.WarningSev { // what --strict fails for
				t.Error(message)
			}
		}
	}
	for _, name := range []string{operatorChart, serviceChart} {
		t.Run(name, func(t *testing.T) { expectClean(t, name, values{}) })
	}
	eachRendering(t, func(t *testing.T, v variant, given values, _ rendering) {
		t.Helper()
		expectClean(t, v.chart, given)
	})
}

// TestEveryValueDoesSomething takes each value away again that a variant is there for.
func TestEveryValueDoesSomething(t *testing.T) {
	for _, v := range variants {
		if v.value == "" {
			continue
		}
		t.Run(v.chart+" "+v.value, func(t *testing.T) {
			given := parse(t, v.values)
			lacking := without(given, strings.Split(v.value, ".")...)
			if cmp.Equal(given, lacking) {
				t.Fatalf("the variant does not set %s", v.value)
			}
			with := mustRender(t, v.chart, given, kubernetes)
			less, err := render(v.chart, lacking, kubernetes)
			if err == nil && cmp.Equal(with.documents, less.documents) {
				t.Errorf("%s changes nothing", v.value)
			}
		})
	}
}

// TestEveryValueIsKnown compares values.yaml, the schema and the matrix: none knows a value that another one does not.
func TestEveryValueIsKnown(t *testing.T) {
	for _, name := range []string{operatorChart, serviceChart} {
		t.Run(name, func(t *testing.T) {
			var tested []string
			for _, v := range variants {
				if v.chart == name && v.value != "" {
					tested = append(tested, v.value)
				}
			}
			slices.Sort(tested)
			var schema struct {
				Properties map[string]any `json:"properties"`
			}
			if err := yaml.Unmarshal(file(t, name, "values.schema.json"), &schema); err != nil {
				t.Fatal(err)
			}
			documented := leaves("", parse(t, string(file(t, name, "values.yaml"))), tested)
			if diff := cmp.Diff(documented, tested); diff != "" {
				t.Errorf("values.yaml and the variants (-values.yaml +variants):\n%s", diff)
			}
			delete(schema.Properties, "global")
			if diff := cmp.Diff(documented, properties("", schema.Properties, tested)); diff != "" {
				t.Errorf("values.yaml and the schema (-values.yaml +schema):\n%s", diff)
			}
		})
	}
}

func file(t testing.TB, name ...string) []byte {
	t.Helper()
	out, err := os.ReadFile(filepath.Join(name...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// leaves are the paths of values, down to those that are known as a whole.
func leaves(prefix string, given values, whole []string) []string {
	var out []string
	for name, value := range given {
		inner, ok := value.(values)
		if ok && len(inner) > 0 && !slices.Contains(whole, prefix+name) {
			out = append(out, leaves(prefix+name+".", inner, whole)...)
		} else {
			out = append(out, prefix+name)
		}
	}
	slices.Sort(out)
	return out
}

// properties are the same paths in a schema.
func properties(prefix string, schemas values, whole []string) []string {
	var out []string
	for name, schema := range schemas {
		inner, _ := schema.(values)["properties"].(values)
		if len(inner) > 0 && !slices.Contains(whole, prefix+name) {
			out = append(out, properties(prefix+name+".", inner, whole)...)
		} else {
			out = append(out, prefix+name)
		}
	}
	slices.Sort(out)
	return out
}
