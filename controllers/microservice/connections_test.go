package microservice_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// at reaches every pod at one address.
type at string

// BaseURL implements podclient.Endpoints.
func (a at) BaseURL(podclient.Pod, int) (string, error) { return string(a), nil }

func TestRolloutWaitsForConnections(t *testing.T) {
	ctx := t.Context()
	var available atomic.Int32
	available.Store(20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "# TYPE database_connections gauge\ndatabase_connections 10\n"+
			"# TYPE database_connections_available gauge\ndatabase_connections_available %d\n", available.Load())
	}))
	defer server.Close()
	w := newWorldOf(ctx, t, "development")
	w.reconciler.Smoke.Endpoints = at(server.URL)
	w.create(ctx)
	w.verify(ctx) // there is nobody to ask, and nobody to be replaced
	pod := &corev1.Pod{}
	if err := direct.Get(ctx, w.born(ctx, "scores-a"), pod); err != nil {
		t.Fatal(err)
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if err := direct.Status().Update(ctx, pod); err != nil {
		t.Fatal(err)
	}
	w.reconcile(ctx)
	w.expectRest(ctx)

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })
	w.reconcile(ctx)
	e := w.ms.Status.Environments[0]
	if e.WaitingFor == nil || e.WaitingFor.Type != v1alpha1.WaitConnections || e.WaitingFor.Unblock == "" ||
		!strings.Contains(e.WaitingFor.Message, "up to 3 pods with 10 connections each and 2 for the migration, 32 together; the database has 20") {
		t.Fatalf("waiting for %+v", e.WaitingFor)
	}
	if got := w.deployments(ctx)["development"].Annotations[v1alpha1.AnnotationRelease]; got != "scores-1" {
		t.Errorf("the Deployment is of %s already", got)
	}
	available.Store(32)
	w.reconcile(ctx)
	w.reconcile(ctx)
	if e := w.ms.Status.Environments[0]; e.WaitingFor != nil && e.WaitingFor.Type == v1alpha1.WaitConnections {
		t.Errorf("with connections enough it waits for %+v", e.WaitingFor)
	}
}
