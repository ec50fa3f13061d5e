package interning

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// decoded is a Deployment whose texts all have memory of their own, as decoding leaves it.
func decoded(tb testing.TB, name string) *appsv1.Deployment {
	tb.Helper()
	long := strings.Repeat("x", longest+1)
	encoded, err := (&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "shop", UID: "uid-of-all", ResourceVersion: "4711", CreationTimestamp: metav1.Unix(1, 0),
			Labels: map[string]string{"app.kubernetes.io/name": "scores", "empty": ""}, Annotations: map[string]string{"long": long},
		},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "scores", "empty": ""}},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "service", Args: []string{"serve"},
				Env:       []corev1.EnvVar{{Name: "LOG_LEVEL", Value: "info"}},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")}},
			}}}},
		},
	}).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	out := &appsv1.Deployment{}
	if err := out.Unmarshal(encoded); err != nil {
		tb.Fatal(err)
	}
	return out
}

func isOne(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }

func isOneMap(a, b map[string]string) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// TestShareTellsMapsApart: the same letters, cut in another way, are another map.
func TestShareTellsMapsApart(t *testing.T) {
	all := []map[string]string{{"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"abc": ""}, {"a": "", "bc": ""}, {"": "abc"}}
	var table Table
	for _, labels := range slices.Concat(all, all) {
		object := &metav1.LabelSelector{MatchLabels: maps.Clone(labels)}
		table.Share(object)
		if diff := cmp.Diff(labels, object.MatchLabels); diff != "" {
			t.Errorf("shared (-want +got):\n%s", diff)
		}
	}
}

func TestShareKeepsWhatIsSaid(t *testing.T) {
	object := decoded(t, "a")
	new(Table).Share(object)
	if diff := cmp.Diff(decoded(t, "a"), object); diff != "" {
		t.Errorf("shared (-want +got):\n%s", diff)
	}
}

func TestShareUsesOneCopy(t *testing.T) {
	var table Table
	a, b := decoded(t, "a"), decoded(t, "b")
	table.Share(a)
	table.Share(b)
	of := func(d *appsv1.Deployment) map[string]string {
		out := map[string]string{
			"namespace": d.Namespace, "env": d.Spec.Template.Spec.Containers[0].Env[0].Name, "argument": d.Spec.Template.Spec.Containers[0].Args[0],
			"label": d.Labels["app.kubernetes.io/name"],
		}
		for key := range d.Annotations {
			out["key"] = key
		}
		return out
	}
	for what, text := range of(a) {
		if !isOne(text, of(b)[what]) {
			t.Errorf("%s is there twice", what)
		}
	}
	if !isOneMap(a.Labels, b.Labels) || !isOneMap(a.Labels, a.Spec.Selector.MatchLabels) {
		t.Error("labels are there twice")
	}
	if isOneMap(a.Annotations, b.Annotations) {
		t.Error("a map with a long text is known, which takes room for what comes once")
	}
	if isOne(string(a.UID), string(b.UID)) || isOne(a.ResourceVersion, b.ResourceVersion) || isOne(a.Annotations["long"], b.Annotations["long"]) {
		t.Error("the UID, the version or a long text is known, which takes room for what comes once")
	}
}

func TestShareIsBounded(t *testing.T) {
	var table Table
	for i := range 3 * most {
		table.Share(&corev1.LocalObjectReference{Name: fmt.Sprint(i)})
		table.Share(&metav1.LabelSelector{MatchLabels: map[string]string{"a": fmt.Sprint(i)}})
	}
	if n := len(table.maps); n > mostMaps+1 {
		t.Errorf("%d maps are known, want at most %d", n, mostMaps+1)
	}
	if n := len(table.known); n > most+2 {
		t.Errorf("%d texts are known, want at most %d", n, most+2)
	}
}

func TestShareByMany(t *testing.T) {
	var table Table
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { table.Share(decoded(t, fmt.Sprint(i))) })
	}
	all.Wait()
}

func BenchmarkShare(b *testing.B) {
	var table Table
	object := decoded(b, "a")
	b.ReportAllocs()
	for b.Loop() {
		table.Share(object)
	}
}
