package microservice_test

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// TestWhatRestsIsLookedIntoOnceItChanges has passes over the same world end early, and whatever could matter to one have it look into
// all of it again.
func TestWhatRestsIsLookedIntoOnceItChanges(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging")
	w.ms.Spec.Database = nil
	w.create(ctx)
	w.verify(ctx)
	w.reconcile(ctx)
	calls := func() int {
		before := w.api.all
		w.reconcile(ctx)
		return w.api.all - before
	}
	quick := calls()
	w.reconciler = w.operator(podclient.Direct{}) // it remembers nothing
	if full := calls(); full <= quick {
		t.Fatalf("%d calls to look into all of it, %d otherwise", full, quick)
	}
	patch := func(object client.Object, namespace, name, change string) {
		object.SetNamespace(namespace)
		object.SetName(name)
		w.must(direct.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(change))))
	}
	w.annotate(ctx, "example.com/touched", "now")
	if n := calls(); n != quick {
		t.Errorf("an annotation of somebody else's brings %d calls about, %d before", n, quick)
	}
	for name, tc := range map[string]struct {
		change func(context.Context)
		mended func() bool
	}{
		"a verb": {
			func(ctx context.Context) { w.annotate(ctx, v1alpha1.VerbAbort, "staging/1") },
			func() bool { return w.ms.Status.Handled["abort"] == "staging/1" },
		},
		"a status that somebody has changed": {
			func(ctx context.Context) {
				w.ms.Status.Summary = "something else"
				w.must(direct.Status().Update(ctx, w.ms))
			},
			func() bool { return w.ms.Status.Summary != "something else" },
		},
		"an object that was edited": {
			func(context.Context) {
				patch(&appsv1.Deployment{}, w.namespace(0), "scores", `{"spec":{"replicas":1}}`)
			},
			func() bool { return *w.deployments(ctx)["staging"].Spec.Replicas == 2 },
		},
		"a Deployment that loses pods": {
			func(ctx context.Context) {
				d := w.deployments(ctx)["staging"]
				d.Status.AvailableReplicas, d.Status.ReadyReplicas = 0, 0
				w.must(direct.Status().Update(ctx, &d))
			},
			func() bool { return w.ms.Status.Environments[0].ReadyReplicas == 0 },
		},
		"an object that is gone": {
			func(ctx context.Context) {
				d := w.deployments(ctx)["staging"]
				w.must(direct.Delete(ctx, &d, client.GracePeriodSeconds(0)))
			},
			func() bool { return w.deployments(ctx)["staging"].Name != "" },
		},
		"consent that is taken back": {
			func(context.Context) {
				patch(&corev1.Namespace{}, "", w.namespace(0), `{"metadata":{"labels":{"`+w.consentLabel()+`":null}}}`)
			},
			func() bool { return w.waits(0, v1alpha1.WaitConsent) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			patch(&corev1.Namespace{}, "", w.namespace(0), `{"metadata":{"labels":{"`+w.consentLabel()+`":"true"}}}`)
			w.verify(ctx)
			w.reconcile(ctx)
			tc.change(ctx)
			if n := calls(); n == quick || !tc.mended() {
				t.Errorf("%d calls as over nothing, status %+v", n, w.ms.Status)
			}
		})
	}
}
