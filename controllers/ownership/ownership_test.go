package ownership

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

var staging = Owner{Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "staging"}

func TestLabelsLeadBackToTheOwner(t *testing.T) {
	for _, component := range []Component{ComponentAPI, ComponentCanary, ComponentMigration, ComponentSmokeTest} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: staging.Labels(component)}}
		if got := ComponentOf(object.Labels); got != component {
			t.Errorf("component = %q, want %q", got, component)
		}
		if got, ok := Of(object); !ok || got != staging {
			t.Errorf("%s: owner = %+v, %t; want %+v", component, got, ok, staging)
		}
	}
}

func TestOfWithoutALabelIsNobody(t *testing.T) {
	for _, label := range []string{
		LabelManagedBy, v1alpha1.LabelMicroservice, v1alpha1.LabelMicroserviceNamespace, v1alpha1.LabelEnvironment,
	} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: staging.Labels(ComponentAPI)}}
		delete(object.Labels, label)
		if got, ok := Of(object); ok {
			t.Errorf("without %s it belongs to %+v", label, got)
		}
	}
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: staging.Labels(ComponentAPI)}}
	foreign.Labels[LabelManagedBy] = "helm"
	if _, ok := Of(foreign); ok {
		t.Error("an object that somebody else manages was taken for ours")
	}
	if _, ok := Of(&corev1.ConfigMap{}); ok {
		t.Error("an object without labels was taken for ours")
	}
}

func TestSelectorTellsComponentsAndEnvironmentsApart(t *testing.T) {
	selector := labels.SelectorFromSet(staging.Selector(ComponentAPI))
	production := staging
	production.Environment = "production"
	elsewhere := staging
	elsewhere.Microservice.Namespace = "other"
	for name, tc := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"its own pods":                                  {staging.Labels(ComponentAPI), true},
		"pods of a migration get no requests":           {staging.Labels(ComponentMigration), false},
		"pods of another environment":                   {production.Labels(ComponentAPI), false},
		"pods of a namesake in another namespace":       {elsewhere.Labels(ComponentAPI), false},
		"pods of somebody who uses the same app labels": {map[string]string{labelName: "scores", labelComponent: "api"}, false},
	} {
		if got := selector.Matches(labels.Set(tc.labels)); got != tc.want {
			t.Errorf("%s: selected = %t, want %t", name, got, tc.want)
		}
	}
}

func TestByMicroserviceSelectsAllOfItsObjectsAndNoOthers(t *testing.T) {
	var options client.ListOptions
	ByMicroservice(staging.Microservice).ApplyToList(&options)
	namesake := staging
	namesake.Microservice.Namespace = "other"
	for name, tc := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"the API":         {staging.Labels(ComponentAPI), true},
		"a migration":     {staging.Labels(ComponentMigration), true},
		"a namesake's":    {namesake.Labels(ComponentAPI), false},
		"a bare selector": {staging.Selector(ComponentAPI), false},
	} {
		if got := options.LabelSelector.Matches(labels.Set(tc.labels)); got != tc.want {
			t.Errorf("%s: selected = %t, want %t", name, got, tc.want)
		}
	}
}

func TestLabelsAreValidForTheLongestNames(t *testing.T) {
	longest := Owner{
		Microservice: types.NamespacedName{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("a", 40)},
		Environment:  strings.Repeat("e", 40),
	}
	for key, value := range longest.Labels(ComponentMigration) {
		if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
			t.Errorf("%s=%s: %v", key, value, problems)
		}
	}
}

func TestConsentLabel(t *testing.T) {
	got, problem := ConsentLabel(staging.Microservice)
	if diff := cmp.Diff("consent.platform.mirubato.com/mirubato.scores", got); diff != "" || problem != "" {
		t.Errorf("label (-want +got), problem %q:\n%s", problem, diff)
	}
	fits := types.NamespacedName{Namespace: strings.Repeat("n", 22), Name: strings.Repeat("a", 40)}
	if got, problem := ConsentLabel(fits); problem != "" {
		t.Errorf("%s has 63 characters after the prefix: %s", got, problem)
	}
	tooLong := types.NamespacedName{Namespace: strings.Repeat("n", 23), Name: strings.Repeat("a", 40)}
	_, problem = ConsentLabel(tooLong)
	if !strings.Contains(problem, "choose a shorter name or namespace") {
		t.Errorf("problem is %q, want one that says what to do", problem)
	}
}
