package microservice_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

func logging(level settings.LogLevel) *settings.Settings {
	return &settings.Settings{Logging: &settings.Logging{Level: &level}}
}

// born makes a pod as the Deployment controller would.
func (w *world) born(ctx context.Context, name string) client.ObjectKey {
	w.t.Helper()
	template := w.deployments(ctx)["development"].Spec.Template
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(0), Name: name, Labels: template.Labels, Annotations: template.Annotations},
		Spec:       template.Spec,
	}
	pod.Spec.ServiceAccountName = ""
	if err := direct.Create(ctx, pod); err != nil {
		w.t.Fatal(err)
	}
	return client.ObjectKeyFromObject(pod)
}

func (w *world) generationOf(ctx context.Context, key client.ObjectKey) string {
	w.t.Helper()
	pod := &corev1.Pod{}
	if err := direct.Get(ctx, key, pod); err != nil {
		w.t.Fatal(err)
	}
	return pod.Annotations[contract.SettingsGenerationAnnotation]
}

func (w *world) settingsMap(ctx context.Context) *corev1.ConfigMap {
	w.t.Helper()
	out := &corev1.ConfigMap{}
	if err := direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(0), Name: "scores-settings"}, out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestSettingsReachRunningPods(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "development")
	w.create(ctx)
	w.verify(ctx)
	if diff := cmp.Diff(map[string]string{"current": "1", "1.yaml": "{}\n"}, w.settingsMap(ctx).Data); diff != "" {
		t.Errorf("without settings (-want +got):\n%s", diff)
	}
	pod := w.born(ctx, "scores-a")
	w.reconcile(ctx)
	if got := w.generationOf(ctx, pod); got != "1" {
		t.Errorf("a new pod is told generation %q, want 1", got)
	}
	w.expectRest(ctx)
	template := w.deployments(ctx)["development"].Spec.Template

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Settings = logging(settings.LogDebug) })
	w.reconcile(ctx)
	if got := w.generationOf(ctx, pod); got != "2" {
		t.Errorf("after a change the pod is told generation %q, want 2", got)
	}
	want := map[string]string{"current": "2", "1.yaml": "{}\n", "2.yaml": "logging:\n  level: debug\n"}
	if diff := cmp.Diff(want, w.settingsMap(ctx).Data); diff != "" {
		t.Errorf("after a change (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(template, w.deployments(ctx)["development"].Spec.Template); diff != "" {
		t.Errorf("a change of settings changed the template (-before +after):\n%s", diff)
	}
	w.readyPods(ctx)
	w.reconcile(ctx)
	// The pod has no address here, so it cannot acknowledge: the release waits for it, by name.
	e := w.ms.Status.Environments[0]
	if e.Step == v1alpha1.StepVerified || e.WaitingFor == nil || !strings.Contains(e.WaitingFor.Message, "scores-a") {
		t.Errorf("step %s, waiting for %v", e.Step, e.WaitingFor)
	}
	if diff := cmp.Diff(&v1alpha1.SettingsStatus{Generation: 2, Pods: 1}, e.Settings); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if err := direct.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	w.verify(ctx)
	w.reconcile(ctx)
	if diff := cmp.Diff(map[string]string{"current": "2", "2.yaml": "logging:\n  level: debug\n"}, w.settingsMap(ctx).Data); diff != "" {
		t.Errorf("what nobody uses is left behind (-want +got):\n%s", diff)
	}
	w.expectRest(ctx)
}

func TestSettingsAreMended(t *testing.T) {
	ctx := t.Context()
	for name, harm := range map[string]func(*corev1.ConfigMap) error{
		"was edited": func(m *corev1.ConfigMap) error { m.Data["1.yaml"] = "nonsense"; return direct.Update(ctx, m) },
		"is gone":    func(m *corev1.ConfigMap) error { return direct.Delete(ctx, m) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(ctx, t, "development")
			w.ms.Spec.Settings = logging(settings.LogWarn)
			recorder := events.NewFakeRecorder(1000)
			w.reconciler.Events = recorder
			w.create(ctx)
			w.verify(ctx)
			want := w.settingsMap(ctx).Data
			if err := harm(w.settingsMap(ctx)); err != nil {
				t.Fatal(err)
			}
			w.reconcile(ctx)
			if diff := cmp.Diff(want, w.settingsMap(ctx).Data); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			told := 0
			for len(recorder.Events) > 0 {
				if strings.Contains(<-recorder.Events, "SettingsRestored development: ConfigMap scores-settings "+name) {
					told++
				}
			}
			if told != 1 {
				t.Errorf("told %d times", told)
			}
			w.expectRest(ctx)
		})
	}
}

func TestSettingsOfOneEnvironment(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "development", "production")
	w.ms.Spec.Settings = logging(settings.LogWarn)
	w.create(ctx)
	w.verify(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
		spec.Environments[0].Overrides = &v1alpha1.EnvironmentOverrides{Settings: logging(settings.LogDebug)}
	})
	w.verify(ctx)
	if got := w.settingsMap(ctx).Data; got["current"] != "2" || got["2.yaml"] != "logging:\n  level: debug\n" {
		t.Errorf("development has %v", got)
	}
	if w.ms.Status.Release != "scores-2" {
		t.Errorf("release %s: overridden settings are part of a release", w.ms.Status.Release)
	}
	w.expectRest(ctx)
}

// A kubelet may miss a change. What reminds it is an annotation that only counts.
func TestKubeletIsRemindedOfLatePods(t *testing.T) {
	ctx := t.Context()
	var running atomic.Int64
	running.Store(1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"settings": {"generation": %d}}`, running.Load())
	}))
	defer server.Close()
	w := newWorldOf(ctx, t, "development")
	w.reconciler.Smoke.Endpoints = at(server.URL)
	now := time.Now()
	w.reconciler.Now = func() time.Time { return now }
	w.create(ctx)
	w.verify(ctx)
	pod := w.born(ctx, "scores-a")
	reminder := func() string {
		got := &corev1.Pod{}
		w.must(direct.Get(ctx, pod, got))
		return got.Annotations[v1alpha1.AnnotationSettingsReminder]
	}
	w.reconcile(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Settings = logging(settings.LogDebug) })
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, ""}, {100 * time.Millisecond, ""}, {50 * time.Millisecond, "2/1"}, {150 * time.Millisecond, "2/2"}} {
		now = now.Add(step.after)
		w.reconcile(ctx)
		w.readyPods(ctx)
		w.reconcile(ctx)
		if got := reminder(); got != step.want {
			t.Fatalf("%s later the reminder is %q, want %q", step.after, got, step.want)
		}
	}
	running.Store(2)
	now = now.Add(10 * time.Second)
	w.verify(ctx)
	w.expectRest(ctx)
	if got := reminder(); got != "2/2" {
		t.Errorf("a pod that has acknowledged is reminded: %q", got)
	}
}
