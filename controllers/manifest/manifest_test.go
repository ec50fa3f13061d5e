package manifest

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// configuration uses every kind of field that the operator's objects have.
func configuration() *appsv1ac.DeploymentApplyConfiguration {
	return appsv1ac.Deployment("scores", "ns").
		WithLabels(map[string]string{"app": "scores"}).
		WithAnnotations(map[string]string{"empty": ""}).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(2).
			WithStrategy(appsv1ac.DeploymentStrategy().WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
				WithMaxUnavailable(intstr.FromInt32(0)).
				WithMaxSurge(intstr.FromString("25%")))).
			WithTemplate(corev1ac.PodTemplateSpec().WithSpec(corev1ac.PodSpec().
				WithAutomountServiceAccountToken(false).
				WithVolumes(corev1ac.Volume().WithName("scratch").WithEmptyDir(corev1ac.EmptyDirVolumeSource())).
				WithContainers(corev1ac.Container().WithName("service").WithImage("scores:1").
					WithArgs("serve", "--fast").
					WithResources(corev1ac.ResourceRequirements().WithRequests(corev1.ResourceList{
						corev1.ResourceCPU:    resource.MustParse("0.5"),
						corev1.ResourceMemory: resource.MustParse("1024Mi"),
					}))))))
}

// live is what the API server would hold after the manifest was applied, typed as the caches deliver it.
func live(t testing.TB, m Manifest) *appsv1.Deployment {
	t.Helper()
	out := &appsv1.Deployment{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m.Object().Object, out, true); err != nil {
		t.Fatal(err)
	}
	out.TypeMeta = metav1.TypeMeta{}
	return out
}

func made(t testing.TB, configuration any) Manifest {
	t.Helper()
	m, err := New(configuration)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestHolds(t *testing.T) {
	container := func(d *appsv1.Deployment) *corev1.Container { return &d.Spec.Template.Spec.Containers[0] }
	for name, tc := range map[string]struct {
		change func(*appsv1.Deployment)
		want   bool
	}{
		"what was written holds": {
			want: true, change: func(*appsv1.Deployment) {},
		},
		"a field that the server filled in belongs to it": {
			want: true, change: func(d *appsv1.Deployment) {
				d.Spec.RevisionHistoryLimit = new(int32)
				container(d).ImagePullPolicy = corev1.PullIfNotPresent
				d.Spec.Template.Spec.Volumes[0].EmptyDir.Medium = corev1.StorageMediumMemory
			},
		},
		"a label, an annotation or a status of others is theirs": {
			want: true, change: func(d *appsv1.Deployment) {
				d.Labels["team"] = "music"
				d.Annotations["deployment.kubernetes.io/revision"] = "3"
				d.Status.Replicas = 2
			},
		},
		"a quantity written in another way is the same": {
			want: true, change: func(d *appsv1.Deployment) {
				container(d).Resources.Requests[corev1.ResourceCPU] = resource.MustParse("500m")
				container(d).Resources.Requests[corev1.ResourceMemory] = resource.MustParse("1Gi")
			},
		},
		"a type of its own makes no difference": {
			want: true, change: func(d *appsv1.Deployment) { d.Kind, d.APIVersion = "Deployment", "apps/v1" },
		},
		"another number":        {change: func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(3)) }},
		"a number that is gone": {change: func(d *appsv1.Deployment) { d.Spec.Replicas = nil }},
		"a number in place of a percentage": {change: func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate.MaxSurge = new(intstr.FromInt32(25))
		}},
		"a struct that is gone": {change: func(d *appsv1.Deployment) { d.Spec.Strategy.RollingUpdate = nil }},
		"a false that became true": {change: func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.AutomountServiceAccountToken = new(true)
		}},
		"another text": {change: func(d *appsv1.Deployment) { container(d).Image = "scores:2" }},
		"another quantity": {change: func(d *appsv1.Deployment) {
			container(d).Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1")
		}},
		"a quantity that is gone":          {change: func(d *appsv1.Deployment) { delete(container(d).Resources.Requests, corev1.ResourceCPU) }},
		"a label that is gone":             {change: func(d *appsv1.Deployment) { delete(d.Labels, "app") }},
		"an empty annotation that is gone": {change: func(d *appsv1.Deployment) { delete(d.Annotations, "empty") }},
		"an element that is gone":          {change: func(d *appsv1.Deployment) { container(d).Args = []string{"serve"} }},
		"an element too many":              {change: func(d *appsv1.Deployment) { container(d).Args = []string{"serve", "--fast", "--loud"} }},
		"elements in another order":        {change: func(d *appsv1.Deployment) { container(d).Args = []string{"--fast", "serve"} }},
		"a container of somebody else": {change: func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "sidecar"})
		}},
		"a volume that is gone":  {change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Volumes = nil }},
		"a hash of another time": {change: func(d *appsv1.Deployment) { d.Annotations[v1alpha1.AnnotationApplied] = "0123456789" }},
		"a hash that is gone":    {change: func(d *appsv1.Deployment) { delete(d.Annotations, v1alpha1.AnnotationApplied) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := made(t, configuration())
			object := live(t, m)
			tc.change(object)
			got, err := m.Holds(object)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("holds = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestAFieldThatIsNoLongerSetIsAWrite(t *testing.T) {
	before := live(t, made(t, configuration()))
	fewer := configuration()
	fewer.Spec.Replicas = nil
	holds, err := made(t, fewer).Holds(before)
	if err != nil {
		t.Fatal(err)
	}
	if holds {
		t.Error("the field would stay as the operator once set it")
	}
}

func TestNothingHoldsWithoutAnObject(t *testing.T) {
	var absent *appsv1.Deployment
	for name, object := range map[string]client.Object{"nil": nil, "a nil pointer": absent} {
		holds, err := made(t, configuration()).Holds(object)
		if err != nil || holds {
			t.Errorf("%s: holds = %t, err = %v; want false, none", name, holds, err)
		}
	}
}

func TestManifestTellsWhatItIsAndCannotBeChanged(t *testing.T) {
	m := made(t, configuration())
	if diff := cmp.Diff([]string{"Deployment", "ns", "scores"}, []string{m.Kind(), m.Namespace(), m.Name()}); diff != "" {
		t.Errorf("kind, namespace, name (-want +got):\n%s", diff)
	}
	m.Object().SetName("other")
	if m.Name() != "scores" {
		t.Error("a change to the copy changed the manifest")
	}
}

func TestHashIsStable(t *testing.T) {
	// These names are on live objects: a change of the algorithm would replace every pod of every user.
	for want, value := range map[string]any{
		"43258cff78": map[string]int{"b": 2, "a": 1},
		"44136fa355": map[string]string{},
		"74234e98af": nil,
	} {
		got, err := Hash(value)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("Hash(%v) = %s, want %s", value, got, want)
		}
	}
	first, second := made(t, configuration()), made(t, configuration())
	if diff := cmp.Diff(first.Object().Object, second.Object().Object); diff != "" {
		t.Errorf("the same fields made two manifests (-first +second):\n%s", diff)
	}
}

func TestWhatHasNoJSONFormIsAnError(t *testing.T) {
	if _, err := Hash(math.NaN()); err == nil {
		t.Error("a hash of NaN")
	}
	if _, err := New("no object"); err == nil {
		t.Error("a manifest of a text")
	}
}

func TestApplyTakesOverWhatOthersSet(t *testing.T) {
	ctx := t.Context()
	c := fake.NewClientBuilder().Build()
	m := made(t, corev1ac.ConfigMap("settings", "ns").WithData(map[string]string{"level": "info"}))
	if _, err := Apply(ctx, c, m); err != nil {
		t.Fatal(err)
	}
	edited := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: "ns", Name: "settings"}
	if err := c.Get(ctx, key, edited); err != nil {
		t.Fatal(err)
	}
	edited.Data["level"] = "debug"
	if err := c.Update(ctx, edited, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	if holds, err := m.Holds(edited); err != nil || holds {
		t.Fatalf("holds = %t, err = %v; the edit was not noticed", holds, err)
	}
	if _, err := Apply(ctx, c, m); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(ctx, key, edited); err != nil {
		t.Fatal(err)
	}
	if holds, err := m.Holds(edited); err != nil || !holds {
		t.Errorf("holds = %t, err = %v after the write, data %v", holds, err, edited.Data)
	}
}

func TestApplyNamesTheObjectThatItCouldNotWrite(t *testing.T) {
	refused := errors.New("refused")
	c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			return refused
		},
	})
	_, err := Apply(t.Context(), c, made(t, configuration()))
	if !errors.Is(err, refused) || err.Error() != "applying Deployment ns/scores: refused" {
		t.Errorf("err = %v", err)
	}
}
