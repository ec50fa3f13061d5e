package plugin_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/plugin"
	"github.com/mirubato/mirubato/test/browser"
)

var screenshots = flag.String("screenshots", "", "directory for pictures of the dashboard")

// opened is a dashboard that somebody has started, and where it lets them in.
type opened struct {
	origin, ticket string
	end            func() int
}

// dashboard starts one, which ends with the test or before.
func (w *world) dashboard(kubeconfig string, args ...string) opened {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	reading, writing := io.Pipe()
	code := make(chan int, 1)
	go func() {
		defer writing.Close()
		code <- plugin.Run(ctx, plugin.Streams{In: strings.NewReader(""), Out: writing, Err: writing}, "0.1.0",
			append([]string{"--kubeconfig", kubeconfig, "-n", w.ms.Namespace, "dashboard"}, args...))
	}()
	said := make([]byte, 4096)
	n, err := reading.Read(said)
	found := regexp.MustCompile(`(http://127\.0\.0\.1:\d+)(/open/\S+)`).FindStringSubmatch(string(said[:n]))
	if err != nil || found == nil {
		w.t.Fatalf("no address but %q, %v", said[:n], err)
	}
	go func() { _, _ = io.Copy(io.Discard, reading) }()
	end := func() int {
		cancel()
		got := <-code
		code <- got
		return got
	}
	w.t.Cleanup(func() { end() })
	return opened{found[1], found[2], end}
}

// rollout makes the world's Microservice look as it does in the middle of a rollout.
func (w *world) rollout() {
	w.t.Helper()
	w.ms.Spec.Environments = []v1alpha1.EnvironmentSpec{
		{Name: "development", Namespace: newNamespace(w.t)},
		{Name: "staging", Namespace: newNamespace(w.t), Rollout: &v1alpha1.RolloutSpec{
			Steps:    []v1alpha1.RolloutStep{{Weight: 20}, {Weight: 50}, {Weight: 80, Pause: true}},
			Analysis: &v1alpha1.AnalysisSpec{},
		}},
		{Name: "production", Namespace: w.production, Rollout: &v1alpha1.RolloutSpec{Approvals: 1}},
	}
	if err := direct.Update(w.t.Context(), w.ms); err != nil {
		w.t.Fatal(err)
	}
	w.cut(1, "1.0.0", "development", "staging", "production")
	w.cut(2, "1.1.0", "development")
	w.canary(20, "1.1.0: development verified, staging canary 20%, production waiting")
}

func before(d time.Duration) *metav1.Time {
	return new(metav1.NewTime(time.Now().Add(-d).Truncate(time.Second)))
}

// cut makes a release that some environments have verified.
func (w *world) cut(number int64, version string, verified ...string) {
	w.t.Helper()
	name := fmt.Sprintf("scores-%d", number)
	release := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.ms.Namespace, Labels: ownership.ByMicroservice(client.ObjectKeyFromObject(w.ms))},
		Spec: v1alpha1.ReleaseSpec{
			Microservice: "scores", Number: number, Version: version, ContentHash: version, Author: "ada",
			Reference: "registry.example.com/scores:" + version, Image: "registry.example.com/scores:" + version + "@sha256:" + strings.Repeat("0", 64),
		},
	}
	if err := direct.Create(w.t.Context(), release); err != nil {
		w.t.Fatal(err)
	}
	release.Status.Active = number == 2
	ago := time.Duration(4-number) * time.Hour
	for _, name := range verified {
		release.Status.Environments = append(release.Status.Environments, v1alpha1.ReleaseEnvironmentStatus{
			Name: name, Step: v1alpha1.StepVerified, AdmittedAt: before(ago), PromotedAt: before(ago - 40*time.Second), VerifiedAt: before(ago - 71*time.Second),
			Steps: []v1alpha1.StepTime{
				{Step: v1alpha1.StepAdmit, Time: *before(ago + 4*time.Second)},
				{Step: v1alpha1.StepCheck, Time: *before(ago)},
				{Step: v1alpha1.StepExpand, Time: *before(ago - 6*time.Second)},
				{Step: v1alpha1.StepPromote, Time: *before(ago - 20*time.Second)},
				{Step: v1alpha1.StepVerified, Time: *before(ago - 71*time.Second)},
			},
		})
	}
	if err := direct.Status().Update(w.t.Context(), release); err != nil {
		w.t.Fatal(err)
	}
	if err := known(w.t.Context(), release, &v1alpha1.ReleaseList{}); err != nil {
		w.t.Fatal(err)
	}
}

// canary writes what the operator would with a canary in staging at a weight.
func (w *world) canary(weight int32, summary string) {
	w.t.Helper()
	release := &v1alpha1.Release{}
	if err := direct.Get(w.t.Context(), client.ObjectKey{Namespace: w.ms.Namespace, Name: "scores-2"}, release); err != nil {
		w.t.Fatal(err)
	}
	release.Status.Environments = append(release.Status.Environments[:1:1], stagingAt(weight))
	if err := direct.Status().Update(w.t.Context(), release); err != nil {
		w.t.Fatal(err)
	}
	w.observe(func(s *v1alpha1.MicroserviceStatus) {
		s.Release, s.Summary = "scores-2", summary
		s.Conditions = []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Step", Message: "staging waits for the hold of its canary step", LastTransitionTime: *before(5 * time.Minute)},
			{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProgressing, Message: "a release is on its way", LastTransitionTime: *before(5 * time.Minute)},
		}
		soon := metav1.NewTime(time.Now().Add(2 * time.Minute).Truncate(time.Second))
		s.Environments = []v1alpha1.EnvironmentStatus{
			{
				Name: "development", Namespace: w.ms.Spec.Environments[0].Namespace, Step: v1alpha1.StepVerified, Target: "scores-2", Release: "scores-2", Verified: "scores-2",
				Replicas: 1, ReadyReplicas: 1, SchemaVersion: new(int64(18)), Settings: &v1alpha1.SettingsStatus{Generation: 2, Acknowledged: 1, Pods: 1},
			},
			{
				Name: "staging", Namespace: w.ms.Spec.Environments[1].Namespace, Step: v1alpha1.StepCanary, Weight: weight, Target: "scores-2", Release: "scores-1", Verified: "scores-1",
				Effect: v1alpha1.EffectMigrate, Replicas: 5, ReadyReplicas: 5, SchemaVersion: new(int64(18)),
				Settings: &v1alpha1.SettingsStatus{Generation: 1, Acknowledged: 4, Pods: 5, Rejected: []v1alpha1.SettingsRejection{
					{Pod: "scores-canary-7c9f", Reason: "cache.size: must be at most 256Mi, the memory of the pod"},
				}},
				WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitStep, Message: "the new pods get their share of the requests", Since: *before(40 * time.Second), Deadline: &soon},
			},
			{
				Name: "production", Namespace: w.production, Step: v1alpha1.StepAdmit, Target: "scores-2", Release: "scores-1", Verified: "scores-1", PlanHash: "0123",
				Effect: v1alpha1.EffectMigrate, Replicas: 6, ReadyReplicas: 6, SchemaVersion: new(int64(17)), Settings: &v1alpha1.SettingsStatus{Generation: 1, Acknowledged: 6, Pods: 6},
				WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval, Message: "0 of 1 approvals", Since: *before(3 * time.Minute), Unblock: "make an Approval"},
			},
		}
	})
}

// stagingAt is the evidence of a canary, with a reading every 30 seconds at weights that have risen so far.
func stagingAt(weight int32) v1alpha1.ReleaseEnvironmentStatus {
	out := v1alpha1.ReleaseEnvironmentStatus{
		Name: "staging", Step: v1alpha1.StepCanary, Weight: weight, StepIndex: map[int32]int32{20: 0, 50: 1, 80: 2}[weight],
		Steps: []v1alpha1.StepTime{
			{Step: v1alpha1.StepAdmit, Time: *before(400 * time.Second)},
			{Step: v1alpha1.StepCheck, Time: *before(392 * time.Second)},
			{Step: v1alpha1.StepBackUp, Time: *before(388 * time.Second)},
			{Step: v1alpha1.StepRehearse, Time: *before(343 * time.Second)},
			{Step: v1alpha1.StepExpand, Time: *before(320 * time.Second)},
			{Step: v1alpha1.StepCanary, Time: *before(311 * time.Second)},
		},
		SmokeTests: []v1alpha1.SmokeResult{{Target: v1alpha1.SmokeStable, Name: "catalogue", Passed: true, Attempts: 1, Time: *before(312 * time.Second)}},
		Database: &v1alpha1.DatabaseEvidence{
			Check: &v1alpha1.CheckEvidence{From: 17, Target: 19, Held: []v1alpha1.MigrationFile{{Version: 19, Name: "drop_old_tempo", Phase: "contract", Checksum: "ab"}}},
			Backup: &v1alpha1.BackupEvidence{
				Name: "staging-scores-2", ClaimName: "backups", StartedAt: *before(388 * time.Second), FinishedAt: *before(346 * time.Second), Size: 73_400_320, Tables: 14, Rows: 182_113,
			},
			Rehearsal: &v1alpha1.RehearsalEvidence{Mode: v1alpha1.RehearseData, From: 17, To: 18, Statements: []v1alpha1.RehearsedStatement{
				{Migration: "0018_add_tempo", Statement: "ALTER TABLE scores ADD COLUMN tempo_marking text", Duration: metav1.Duration{Duration: 4 * time.Millisecond}, Locks: []string{"AccessExclusiveLock on public.scores"}},
			}},
			Applied: []v1alpha1.AppliedMigration{{Version: 18, Name: "add_tempo", Duration: metav1.Duration{Duration: 320 * time.Millisecond}}},
		},
	}
	readings := map[int32][]int32{20: {20, 20, 20}, 50: {20, 20, 20, 20, 50, 50}, 80: {20, 20, 20, 20, 50, 50, 50, 80}}[weight]
	counted := int64(0)
	for i, at := range readings {
		if counted++; i > 0 && readings[i-1] != at {
			counted = 1
		}
		sample := v1alpha1.AnalysisSample{
			Time: *before(time.Duration(len(readings)-i) * 30 * time.Second), Weight: at, Verdict: v1alpha1.VerdictPass, Message: "errors as few as those of the others",
			CanaryRequests: counted * int64(at) * 12, StableRequests: counted * int64(100-at) * 12, CanaryErrors: counted * int64(at) / 20, StableErrors: counted + int64(i%2),
		}
		if counted == 1 {
			sample.Verdict, sample.Message = v1alpha1.VerdictNotEnoughData, "not as many requests as it takes to pass"
		}
		out.Analysis = append(out.Analysis, sample)
	}
	return out
}

// TestDashboard is what somebody sees of a rollout in a real browser, from a real API server, and what they do about it.
func TestDashboard(t *testing.T) {
	w := newWorld(t)
	w.rollout()
	go w.obey(client.ObjectKeyFromObject(w.ms))
	started := browser.Start(t)
	served := w.dashboard(w.kubeconfig)
	p := started.Open(t, served.origin, browser.Desktop)
	p.GoTo(served.ticket)
	p.WaitForText("#link", "Live")
	p.WaitForText(".services .summary", "staging canary 20%")
	p.Accessible()
	p.Click(".services a")
	p.WaitForText("h1", "scores")
	p.WaitFor(`document.activeElement.matches('h1')`)
	p.WaitForText(".environment:nth-child(2) .badge", "Canary 20%")
	p.WaitForText(".environment:nth-child(3)", "Approve")
	p.Accessible()
	if heard := p.Heard(); len(heard["table"]) < 5 || len(heard["progressbar"]) != 1 || len(heard["image"])+len(heard["img"]) < 1 {
		t.Errorf("heard are %v", heard)
	}
	p.Click(".figure summary")
	p.WaitFor(`document.querySelectorAll('.figure tbody tr').length === 3`)

	t.Run("a change shows in under a second", func(t *testing.T) {
		browser.Asks[any](p, `new MutationObserver(() => { window.seen ??= document.querySelector('.environment:nth-child(2) .badge').textContent.includes('50%') ? Date.now() : undefined; }).observe(document.body, { subtree: true, childList: true, characterData: true })`)
		w.canary(50, "1.1.0: development verified, staging canary 50%, production waiting")
		written := time.Now()
		p.WaitForText(".environment:nth-child(2) .badge", "Canary 50%")
		if took := browser.Asks[float64](p, `window.seen`) - float64(written.UnixMilli()); took > 5000 { // generous: this machine does much else
			t.Errorf("it took %v ms to show", took)
		} else {
			t.Logf("it took %v ms to show after the write had returned", took)
		}
		p.WaitForText("#said", "staging canary 50%")
		p.WaitFor(`document.querySelector('.figure details').open && document.querySelectorAll('.figure tbody tr').length === 6`)
	})
	t.Run("an order by keyboard", func(t *testing.T) { byKeyboard(t, w, p) })
	t.Run("an approval of what was shown", func(t *testing.T) { approving(t, w, p) })
	t.Run("a viewer is offered nothing", func(t *testing.T) {
		viewing := w.dashboard(w.viewer())
		v := started.Open(t, viewing.origin, browser.Phone)
		v.GoTo(viewing.ticket)
		v.Click(".services a")
		v.WaitForText(".environment:nth-child(2) .badge", "Canary 50%")
		v.WaitFor(`performance.getEntriesByType('resource').some((r) => r.name.includes('/api/rights') && r.responseEnd > 0)`)
		if found := v.Texts("main button"); len(found) > 0 {
			t.Errorf("it offers %v", found)
		}
		v.Accessible()
		v.GoTo("/") // the same browser is in already
		v.WaitForText(".services .summary", "staging canary 50%")
	})
	t.Run("on every screen", func(t *testing.T) { w.pictures(t, started) })
	t.Run("the end is told", func(t *testing.T) {
		if code := served.end(); code != plugin.ExitOK {
			t.Errorf("it ends with %d", code)
		}
		p.WaitForText("#link", "Not connected")
		p.WaitForText("#trouble", "start it again")
		p.Expects("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "Failed to load resource")
	})
}

// byKeyboard aborts the rollout in staging without a mouse.
func byKeyboard(t *testing.T, w *world, p *browser.Tab) {
	t.Helper()
	tabTo := func(label string) {
		t.Helper()
		for n := 0; !browser.Asks[bool](p, `(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent) === '`+label+`'`); n++ {
			if n > 60 {
				t.Fatalf("%s is not reached: %s", label, browser.Asks[string](p, `document.activeElement.outerHTML`))
			}
			p.Press(kb.Tab)
		}
		if browser.Asks[string](p, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
			t.Errorf("the focus does not show on %s", label)
		}
	}
	tabTo("Abort staging")
	p.Press(kb.Enter)
	p.WaitForText("dialog[open] h2", "Abort the rollout in staging?")
	p.WaitFor(`document.activeElement.textContent === 'Cancel'`)
	p.Press(kb.Escape)
	p.WaitFor(`!document.querySelector('dialog[open]') && document.activeElement.textContent === 'Abort'`)
	p.Press(kb.Enter)
	tabTo("Abort the rollout")
	p.Press(kb.Enter)
	p.WaitForText("dialog .outcome", "The rollout in staging is aborted")
	p.WaitForText("#said", "is aborted")
	p.Press(kb.Enter) // Close has the focus
	p.WaitFor(`!document.querySelector('dialog[open]')`)
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	if !strings.HasPrefix(w.ms.Annotations[v1alpha1.VerbAbort], "staging/") {
		t.Errorf("the order is %q", w.ms.Annotations[v1alpha1.VerbAbort])
	}
	w.canary(50, "1.1.0: development verified, staging canary 50%, production waiting")
}

// approving is refused once what would be done has changed.
func approving(t *testing.T, w *world, p *browser.Tab) {
	t.Helper()
	const button = `.environment:nth-child(3) button[data-key^="approve"]`
	p.WaitFor(`document.querySelector('` + button + `')`)
	p.Click(button)
	p.WaitForText("dialog td", "1.0.0")
	if heard := p.Heard(); !slices.Equal(heard["dialog"], []string{"Let the release enter production?"}) {
		t.Errorf("heard are %v", heard["dialog"])
	}
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	w.canary(50, "1.1.0: development verified, staging canary 50%, production waiting")
	w.ms.Status.Environments[2].PlanHash = "4567"
	if err := direct.Status().Update(t.Context(), w.ms); err != nil {
		t.Fatal(err)
	}
	p.Click("dialog button[type=submit]")
	p.WaitForText("dialog .outcome[data-tone=bad]", "has changed meanwhile")
	p.Expects("409")
	p.Click("dialog button.plain")
	p.WaitFor(`document.querySelector('` + button + `')?.dataset.offer.includes('4567')`)
	p.Click(button)
	p.Click("dialog button[type=submit]")
	p.WaitForText("dialog .outcome", "admin approved scores-2 for production")
	p.Click("dialog button.plain")
	list := &v1alpha1.ApprovalList{}
	if err := direct.List(t.Context(), list, client.InNamespace(w.production)); err != nil || len(list.Items) != 1 || list.Items[0].Spec.PlanHash != "4567" {
		t.Errorf("%v, %+v", err, list.Items)
	}
}

// beside makes another Microservice in the world's namespace.
func (w *world) beside(name, condition, summary string, at v1alpha1.EnvironmentStatus) {
	w.t.Helper()
	ms := &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.ms.Namespace}, Spec: *w.ms.Spec.DeepCopy()}
	ms.Spec.Environments = ms.Spec.Environments[2:]
	if err := direct.Create(w.t.Context(), ms); err != nil {
		w.t.Fatal(err)
	}
	at.Name, at.Namespace = "production", w.production
	ms.Status = v1alpha1.MicroserviceStatus{
		ObservedGeneration: ms.Generation, Summary: summary, Environments: []v1alpha1.EnvironmentStatus{at},
		Conditions: []metav1.Condition{{Type: condition, Status: metav1.ConditionTrue, Reason: "Told", LastTransitionTime: metav1.Now()}},
	}
	if err := direct.Status().Update(w.t.Context(), ms); err != nil {
		w.t.Fatal(err)
	}
}

func shown(p *browser.Tab, name string) {
	if *screenshots != "" {
		p.Picture(*screenshots, "dashboard-"+name)
	}
}

// pictures holds every screen to what is promised, and shows them to whoever wants to look.
func (w *world) pictures(t *testing.T, started *browser.Browser) {
	t.Helper()
	w.beside("catalogue", v1alpha1.ConditionReady, "2.4.1: verified everywhere", v1alpha1.EnvironmentStatus{Step: v1alpha1.StepVerified})
	w.beside("players", v1alpha1.ConditionStalled, "0.9.0: rejected in production", v1alpha1.EnvironmentStatus{
		Step: v1alpha1.StepRejected, WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitRejected, Message: "pods do not become ready", Since: metav1.Now(), Unblock: "retry it"},
	})
	for name, on := range map[string]browser.Screen{
		"light": {Width: 1160, Height: 900}, "dark": {Width: 1160, Height: 900, Dark: true},
		"phone": {Width: 390, Height: 844}, "phone-dark": {Width: 390, Height: 844, Dark: true},
	} {
		served := w.dashboard(w.kubeconfig)
		p := started.Open(t, served.origin, on)
		p.GoTo(served.ticket)
		p.WaitForText(".services", "canary 50%")
		p.Accessible()
		shown(p, name+"-all")
		p.WaitFor(`document.querySelectorAll('.services tbody tr').length === 3`)
		p.Click("[data-key$='/scores'] a")
		p.WaitFor(`document.querySelector('.environment button')`)
		p.Accessible()
		shown(p, name)
	}
}
