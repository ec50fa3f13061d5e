package settings_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/settings"
)

// pod is one of a component that runs a content and was given a generation; none if that is empty.
func pod(name string, component ownership.Component, content, given string) corev1.Pod {
	owner := ownership.Owner{Microservice: types.NamespacedName{Namespace: "home", Name: "scores"}, Environment: "staging"}
	out := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: name, UID: types.UID(name), Labels: owner.Labels(component)}}
	out.Labels[v1alpha1.LabelContent] = content
	if given != "" {
		out.Annotations = map[string]string{contract.SettingsGenerationAnnotation: given}
	}
	return out
}

func TestAssign(t *testing.T) {
	t.Parallel()
	removed := pod("a", ownership.ComponentAPI, "new", "")
	removed.DeletionTimestamp = &metav1.Time{}
	for name, tc := range map[string]struct {
		pods           []corev1.Pod
		stable, canary settings.Side
		want           map[string]int64
	}{
		"a pod that was just born": {
			[]corev1.Pod{pod("a", ownership.ComponentAPI, "new", "")}, settings.Side{Content: "new", Generation: 2}, settings.Side{}, map[string]int64{"a": 2},
		},
		"other settings of the same content": {
			[]corev1.Pod{pod("a", ownership.ComponentAPI, "new", "1")}, settings.Side{Content: "new", Generation: 2}, settings.Side{}, map[string]int64{"a": 2},
		},
		"a pod of the content before keeps its own": {
			[]corev1.Pod{pod("a", ownership.ComponentAPI, "old", "1"), pod("b", ownership.ComponentAPI, "new", "")},
			settings.Side{Content: "new", Generation: 2},
			settings.Side{},
			map[string]int64{"a": 1, "b": 2},
		},
		"a canary has settings of its own": {
			[]corev1.Pod{pod("a", ownership.ComponentAPI, "same", "1"), pod("c", ownership.ComponentCanary, "same", "")},
			settings.Side{Content: "same", Generation: 1},
			settings.Side{Content: "same", Generation: 2},
			map[string]int64{"a": 1, "c": 2},
		},
		"a pod of a canary that is gone": {
			[]corev1.Pod{pod("c", ownership.ComponentCanary, "old", "2")}, settings.Side{Content: "new", Generation: 1}, settings.Side{}, map[string]int64{"c": 2},
		},
		"a number that somebody wrote by hand": {
			[]corev1.Pod{pod("a", ownership.ComponentAPI, "new", "007")}, settings.Side{Content: "new", Generation: 2}, settings.Side{}, map[string]int64{"a": 2},
		},
		"nothing is known of the release": {
			[]corev1.Pod{pod("a", ownership.ComponentAPI, "new", "")}, settings.Side{Content: "new"}, settings.Side{}, map[string]int64{},
		},
		"pods of Jobs and pods that are being removed": {
			[]corev1.Pod{pod("m", ownership.ComponentMigration, "new", ""), removed}, settings.Side{Content: "new", Generation: 2}, settings.Side{}, map[string]int64{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]int64{}
			for _, a := range settings.Assign(tc.pods, tc.stable, tc.canary) {
				got[a.Pod.Name] = a.Generation
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPatchTellsTheNumberAndItsPlace(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1000)
	for name, tc := range map[string]struct{ before, want string }{
		"a pod that was told nothing yet":            {"", "1000"},
		"one that was told before":                   {"900", "1000"},
		"one that was told when the clock was ahead": {"5000", "5001"},
		"one whose place was edited into nonsense":   {"soon", "1000"},
		"one whose place was edited to the last":     {"9223372036854775807", "1000"},
	} {
		given := settings.Assignment{Pod: pod("a", ownership.ComponentAPI, "new", "2"), Generation: 3}
		given.Pod.Annotations["platform.mirubato.com/settings-sequence"] = tc.before
		if given.Given() {
			t.Error("a pod with generation 2 counts as told of 3")
		}
		got, err := given.Patch(now).Data(&given.Pod)
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"metadata":{"annotations":{"platform.mirubato.com/settings-generation":"3","platform.mirubato.com/settings-sequence":"` + tc.want + `"}}}`; string(got) != want {
			t.Errorf("%s: patch %s, want %s", name, got, want)
		}
	}
}

func TestEachReminderIsAnother(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]string{"": "3/1", "3/1": "3/2", "2/6": "3/1", "nonsense": "3/1"} {
		late := settings.Assignment{Pod: pod("a", ownership.ComponentAPI, "new", "3"), Generation: 3}
		late.Pod.Annotations[v1alpha1.AnnotationSettingsReminder] = before
		got, err := late.Reminder().Data(&late.Pod)
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"metadata":{"annotations":{"platform.mirubato.com/settings-reminder":"` + want + `"}}}`; string(got) != want {
			t.Errorf("after %q: patch %s, want %s", before, got, want)
		}
	}
}
