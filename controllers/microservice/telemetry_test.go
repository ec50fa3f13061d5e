package microservice_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/telemetry"
)

// measure gives the reconciler a Recorder that has measured nothing, as a new process has, and returns what reads its counters:
// the number of events by metric and, after a slash, step, phase, reason or outcome; only those that have happened.
func (w *world) measure() func() map[string]int {
	w.t.Helper()
	recorder := telemetry.New(telemetry.Options{})
	leads := make(chan struct{})
	close(leads)
	recorder.Watch(direct, leads)
	w.reconciler.Telemetry = recorder
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(recorder)
	return func() map[string]int {
		w.t.Helper()
		families, err := registry.Gather()
		w.must(err)
		out := map[string]int{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				name := family.GetName()
				for _, label := range metric.GetLabel() {
					switch label.GetName() {
					case "step", "phase", "reason", "outcome":
						name += "/" + label.GetValue()
					}
				}
				count := int(metric.GetCounter().GetValue()) + int(metric.GetHistogram().GetSampleCount())
				if count > 0 {
					out[name] += count
				}
			}
		}
		return out
	}
}

// TestWhatIsStoredIsCountedOnce: by nobody who begins later, and by nobody who finds it stored.
func TestWhatIsStoredIsCountedOnce(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	counted := w.measure()
	w.create(ctx)
	migrated := succeeded
	migrated.Applied = []contract.AppliedMigration{{Version: 3, Name: "00003_add.sql", Duration: 20 * time.Millisecond}}
	for range 8 {
		w.reconcile(ctx)
		w.runJobs(ctx, migrated)
		w.readyPods(ctx)
	}
	w.verify(ctx)
	want := map[string]int{
		"mirubato_steps_total/Admit": 2, "mirubato_steps_total/Check": 2, "mirubato_steps_total/Expand": 2,
		"mirubato_steps_total/Promote": 2, "mirubato_steps_total/Soak": 2, "mirubato_steps_total/Verified": 2,
		"mirubato_step_duration_seconds/Admit": 2, "mirubato_step_duration_seconds/Check": 2, "mirubato_step_duration_seconds/Expand": 2,
		"mirubato_step_duration_seconds/Promote": 2, "mirubato_step_duration_seconds/Soak": 2,
		"mirubato_migration_duration_seconds/expand": 2, "mirubato_deployments_total/verified": 1, "mirubato_lead_time_seconds": 1,
	}
	if diff := cmp.Diff(want, counted()); diff != "" {
		t.Errorf("a release that was verified (-want +got):\n%s", diff)
	}

	counted = w.measure()
	w.reconcile(ctx)
	if diff := cmp.Diff(map[string]int{}, counted()); diff != "" {
		t.Errorf("counted again by an operator that began later:\n%s", diff)
	}

	// A change that is aborted in production, and goes back.
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })
	for range 30 {
		w.reconcile(ctx)
		if w.ms.Status.Environments[1].Step == v1alpha1.StepPromote {
			break
		}
		w.runJobs(ctx, succeeded)
		w.readyPods(ctx)
	}
	w.annotate(ctx, v1alpha1.VerbAbort, "production/1")
	for range 3 {
		w.reconcile(ctx)
		w.readyPods(ctx)
	}
	got := counted()
	for name, want := range map[string]int{
		"mirubato_rejections_total/Aborted/Promote": 1, "mirubato_deployments_total/failed": 1, "mirubato_restore_time_seconds": 1,
		"mirubato_steps_total/RollBack": 1, "mirubato_steps_total/Rejected": 1, "mirubato_deployments_total/verified": 0, "mirubato_lead_time_seconds": 0,
	} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}

	// And an earlier release takes the place of the one that is verified: that change is undone.
	counted = w.measure()
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.2.0" })
	w.verify(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.0.0" })
	w.reconcile(ctx)
	w.collectGarbage(ctx) // the Jobs of its first time
	w.verify(ctx)
	got = counted()
	for name, want := range map[string]int{
		"mirubato_deployments_total/verified": 1, "mirubato_deployments_total/reverted": 1, "mirubato_restore_time_seconds": 1, "mirubato_lead_time_seconds": 1,
	} {
		if got[name] != want {
			t.Errorf("after going back: %s is %d, want %d", name, got[name], want)
		}
	}
}
