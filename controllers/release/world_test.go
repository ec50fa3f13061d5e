package release

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// fault is what is wrong with a simulated release.
type fault string

const (
	good          fault = ""
	badMigration  fault = "its migrations are refused"
	badForOldPods fault = "its schema breaks the pods before it"
	badCanary     fault = "it fails its smoke tests"
	badErrors     fault = "it answers with errors"
	badPods       fault = "its pods never get ready"
	badTogether   fault = "it fails only when all pods are of it"
	badContract   fault = "what it removes is still in use"
)

// build is a simulated Release and its status.
type build struct {
	Candidate
	fault fault
	// from is the first environment in which the fault shows.
	from      int
	rejection *v1alpha1.Rejection
	records   []v1alpha1.ReleaseEnvironmentStatus
}

func (b *build) bad(i int, f fault) bool { return b.fault == f && i >= b.from }

// place is an environment as it really is.
type place struct {
	name           string
	rollout        Rollout
	verified, held *build
	blocked, gate  *v1alpha1.WaitingFor
	away           *v1alpha1.WaitingFor
	stable, canary Fleet
	stopping       bool // the canary is being removed
	weight         int32
	taken          int32 // the weight that the Gateways have heard of
	jobs           map[string]*job
	database       map[string]bool // the migrations that it holds
	floor          int             // what was removed last: releases of an earlier group of migrations cannot run
	tampered       bool            // somebody has brought pods of one that cannot
	abort, resume  bool
	verdict        v1alpha1.Verdict // of what cannot be judged at present
	stale          *Facts           // what an operator would see that reads too early
	flaky          bool             // smoke tests fail by chance
	told           string
}

// job is the evidence of a migration.
type job struct {
	done, failed, stuck bool
	at                  time.Time
	found               v1alpha1.DatabaseEvidence
}

// world is a Microservice, its environments, and the part of the operator around the planner.
type world struct {
	now    time.Time
	places []*place
	builds []*build
	target *build
	paused bool
	// contracts says whether releases remove what those before needed.
	contracts bool
	// retried: somebody has said so since the last pass.
	retried bool
	wake    time.Time
	// chance decides about what is due to luck; nil for never.
	chance func(percent int) bool
	// story is told only where somebody reads it.
	telling bool
	story   []string
	// plan is New, unless a test wants to know what a wrong one leads to.
	plan func(Input) Plan
	// check looks at every plan before it is carried out.
	check func(i int, in Input, plan Plan)
}

func newWorld(rollouts ...Rollout) *world {
	w := &world{now: noon, plan: New}
	for i, rollout := range rollouts {
		w.places = append(w.places, &place{
			name: []string{"development", "staging", "production"}[i], rollout: rollout,
			jobs: map[string]*job{}, database: map[string]bool{},
		})
	}
	return w
}

// release cuts one with the next number, or returns to the one that has it.
func (w *world) release(number int, f fault, from int) {
	name := fmt.Sprintf("scores-%d", number)
	next := w.build(name)
	if next == nil {
		next = &build{Candidate: Candidate{Release: name, Content: "c" + name[7:], Migration: fmt.Sprintf("m%d", number/2)}, fault: f, from: from}
		next.records = make([]v1alpha1.ReleaseEnvironmentStatus, len(w.places))
		w.builds = append(w.builds, next)
	}
	if next == w.target {
		return
	}
	w.note("", "the Microservice asks for %s", name)
	w.supersede()
	w.target = next
}

func (w *world) build(name string) *build {
	for _, b := range w.builds {
		if b.Release == name {
			return b
		}
	}
	return nil
}

// supersede marks what was not verified when another target came. An operator that is killed before may forget it.
func (w *world) supersede() {
	if w.target == nil || w.luck(10) {
		return
	}
	for i := range w.target.records {
		if r := &w.target.records[i]; r.VerifiedAt == nil && r.Step != "" && w.places[i].held == nil && w.target.rejection == nil {
			r.Step = v1alpha1.StepSuperseded
		}
	}
}

func (w *world) retry() {
	w.note("", "somebody retries %s", w.target.Release)
	w.target.rejection, w.retried = nil, true
	for i := range w.target.records {
		if r := w.target.records[i]; r.VerifiedAt == nil && (r.Step == v1alpha1.StepRejected || r.Step == v1alpha1.StepRollBack) {
			w.target.records[i] = v1alpha1.ReleaseEnvironmentStatus{}
		}
	}
}

func (w *world) luck(percent int) bool { return w.chance != nil && w.chance(percent) }

func (w *world) note(where, format string, args ...any) {
	if w.telling {
		w.story = append(w.story, fmt.Sprintf("%s  %-12s %s", w.now.Format("15:04:05"), where, fmt.Sprintf(format, args...)))
	}
}

// wanted is the release that an environment shall run.
func (w *world) wanted(i int) *build {
	if held := w.places[i].held; held != nil {
		return held
	}
	return w.target
}

// observe is what the operator sees of an environment.
func (w *world) observe(i int) Input {
	p, b := w.places[i], w.wanted(i)
	in := Input{
		Now: w.now, Microservice: v1alpha1.MicroserviceReference{Namespace: "home", Name: "scores"}, Environment: p.name,
		PreviousVerified: i == 0, Target: b.Candidate, Rollout: p.rollout, Record: b.records[i], Rejection: b.rejection,
		Paused: w.paused, Held: p.held != nil, Abort: p.abort, Resume: p.resume, Retry: w.retried && b == w.target,
	}
	if i > 0 {
		in.Previous, in.PreviousVerified = w.places[i-1].name, b.records[i-1].VerifiedAt != nil
	}
	if p.verified != nil {
		in.Fallback = &p.verified.Candidate
	}
	in.Record.Name = p.name
	fresh := w.facts(i, b)
	in.Facts = fresh
	if p.stale != nil && w.luck(15) {
		in.Facts.Stable, in.Facts.Canary, in.Facts.Weight, in.Facts.Migration = p.stale.Stable, p.stale.Canary, p.stale.Weight, p.stale.Migration
		in.Facts.Backup, in.Facts.Rehearsal, in.Facts.ContractRehearsal = p.stale.Backup, p.stale.Rehearsal, p.stale.ContractRehearsal
	}
	p.stale = &fresh
	if p.away != nil {
		in.Facts = Facts{Away: p.away}
	}
	return in
}

func (w *world) facts(i int, b *build) Facts {
	p := w.places[i]
	f := Facts{Blocked: p.blocked, Stable: p.stable, Canary: p.canary, Weight: p.weight, PlanHash: "plan", Smoke: map[v1alpha1.SmokeTarget]Smoke{}}
	if p.gate != nil && w.now.Before(p.gate.Deadline.Time) {
		f.Gates = []v1alpha1.WaitingFor{*p.gate}
	}
	if p.rollout.Gateway && p.taken != p.weight {
		f.Gateway = &v1alpha1.WaitingFor{Type: v1alpha1.WaitGateway, Message: "Gateway infra/public has not read the present HTTPRoute"}
		f.GatewayBehind = true
	}
	f.Migration = p.work(b.Migration)
	f.Backfill = p.work(w.prepares("backfill", i))
	f.Check, f.Contract = p.work(w.prepares("check", i)), p.work(w.prepares("contract", i))
	f.Backup, f.Rehearsal = p.work(w.prepares("backup", i)), p.work(w.prepares("rehearsal", i))
	f.ContractRehearsal = p.work(w.prepares("contract-rehearsal", i))
	if p.stable.Exists && !(p.stable.Content == b.Content && p.stable.Complete) || p.canary.Exists {
		f.Older = []string{p.name}
	}
	for _, r := range b.records[i].SmokeTests {
		f.Smoke[r.Target] = smokeOf(r)
	}
	f.Analysis = w.analysis(i, b)
	return f
}

// work is what the Job of a name tells.
func (p *place) work(name string) Work {
	j := p.jobs[name]
	if j == nil {
		return Work{}
	}
	out := Work{Done: j.done, Failed: j.failed, FailedAt: j.at, Found: j.found, Stuck: j.stuck}
	if j.stuck {
		out.Waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitSchema, Message: "a contract migration has removed what this release needs"}
	}
	return out
}

// group tells the migrations of a build: a later group includes the earlier ones.
func (b *build) group() int { return int(b.Migration[1] - '0') }

// prepares names the Job that comes before the migrations of a rollout: another rollout has another one.
func (w *world) prepares(what string, i int) string {
	b := w.wanted(i)
	if d := b.records[i].Database; d != nil && d.Contract != nil {
		return fmt.Sprintf("%s %s later %d", what, b.Release, d.Contract.BeganAt.Unix())
	}
	if at := b.records[i].AdmittedAt; at != nil {
		return fmt.Sprintf("%s %s %d", what, b.Release, at.Unix())
	}
	return what
}

func smokeOf(r v1alpha1.SmokeResult) Smoke {
	switch {
	case r.Passed:
		return Smoke{State: SmokePassed}
	case r.Attempts >= 3:
		return Smoke{State: SmokeFailed, Message: "smoke test login: status 500 instead of 200"}
	}
	return Smoke{State: SmokeRunning, Next: r.Time.Add(time.Second), Message: "smoke test login is tried again"}
}

// analysis has its first reading ten seconds after the share was given.
func (w *world) analysis(i int, b *build) Analysis {
	p, r := w.places[i], b.records[i]
	if !p.rollout.Analysis || r.Weight == 0 || r.Since == nil {
		return Analysis{}
	}
	if ready := r.Since.Add(10 * time.Second); w.now.Before(ready) {
		return Analysis{Next: ready}
	}
	a := Analysis{Verdict: v1alpha1.VerdictPass, Next: w.now.Add(10 * time.Second)}
	switch {
	case p.verdict != "":
		a.Verdict = p.verdict
	case b.bad(i, badErrors):
		a.Verdict, a.Message = v1alpha1.VerdictFail, "5 % of the answers of release "+b.Release+" are errors, 0 % of the others"
	}
	return a
}

// pass is one reconcile. It makes at most limit changes, as if the operator was killed then. It reports whether anything was
// changed.
func (w *world) pass(limit int) bool {
	inputs, plans := make([]Input, len(w.places)), make([]Plan, len(w.places))
	w.wake = time.Time{}
	for i := range w.places {
		inputs[i] = w.observe(i)
		plans[i] = w.plan(inputs[i])
		if w.check != nil {
			w.check(i, inputs[i], plans[i])
		}
		w.places[i].resume = false
	}
	w.retried = false
	left := limit
	for i := range plans {
		var done []string
		for _, a := range plans[i].Actions {
			if w.apply(i, a, &plans[i].Record) {
				done = append(done, words(a))
				if left--; left <= 0 {
					w.note(w.places[i].name, "%s; the operator is killed", strings.Join(done, ", "))
					return true
				}
			}
		}
		w.tell(i, plans[i], done)
	}
	for i := range plans {
		if w.record(i, plans[i]) {
			if left--; left <= 0 {
				w.note(w.places[i].name, "the operator is killed")
				return true
			}
		}
		if at := plans[i].WakeUp; !at.IsZero() && (w.wake.IsZero() || at.Before(w.wake)) {
			w.wake = at
		}
	}
	return left < limit
}

func (w *world) record(i int, plan Plan) bool {
	b, p := w.wanted(i), w.places[i]
	changed := !reflect.DeepEqual(b.records[i], plan.Record)
	b.records[i] = plan.Record
	if plan.Rejection != nil && b.rejection == nil {
		b.rejection, changed = plan.Rejection, true
	}
	p.abort = false
	if plan.Record.VerifiedAt != nil && plan.Step == v1alpha1.StepVerified {
		p.verified = b
	}
	return changed
}

// apply carries out one action and reports whether it changed anything.
func (w *world) apply(i int, a Action, record *v1alpha1.ReleaseEnvironmentStatus) bool {
	p, b := w.places[i], w.wanted(i)
	switch a.Type {
	case Check:
		return p.start(w.prepares("check", i))
	case Backfill:
		return p.start(w.prepares("backfill", i))
	case Contract:
		return p.start(w.prepares("contract", i))
	case BackUp:
		return p.start(w.prepares("backup", i))
	case Rehearse:
		return p.start(w.prepares("rehearsal", i))
	case RehearseContract:
		return p.start(w.prepares("contract-rehearsal", i))
	case Migrate:
		return p.start(b.Migration)
	case ForgetMigration:
		if j := p.jobs[b.Migration]; j == nil || !j.failed {
			return false
		}
		delete(p.jobs, b.Migration)
	case Keep:
		return p.stable.write(w.build(a.Release).Candidate, 0)
	case StartCanary:
		return !p.stopping && p.canary.write(w.build(a.Release).Candidate, a.Weight)
	case Shift:
		changed := p.weight != a.Weight
		p.weight = a.Weight
		return changed
	case StopCanary:
		if !p.canary.Exists || p.stopping {
			return false
		}
		p.stopping = true
	case RunSmoke:
		w.smoke(i, b, a.Smoke, record)
	case CleanUp:
		return p.cleanUp(b.Migration)
	}
	return true
}

// start makes a Job, unless it is there.
func (p *place) start(name string) bool {
	if p.jobs[name] != nil || p.isChanging() {
		return false
	}
	p.jobs[name] = &job{}
	return true
}

// isChanging reports whether a Job may be changing the database: none is started beside it, as package migration decides.
func (p *place) isChanging() bool {
	for name, j := range p.jobs {
		only, _, _ := strings.Cut(name, " ")
		isReading := slices.Contains([]string{"check", "backup", "rehearsal", "contract-rehearsal"}, only)
		if !isReading && !j.done && !j.failed && !j.stuck {
			return true
		}
	}
	return false
}

// write is an apply of a Deployment; new pods are not ready at first.
func (f *Fleet) write(c Candidate, weight int32) bool {
	if f.Exists && f.Release == c.Release && f.Content == c.Content && f.Migration == c.Migration && f.Weight == weight {
		return false
	}
	if !f.Exists || f.Content != c.Content {
		*f = Fleet{Replicas: 4}
	} else if f.Weight != weight {
		f.Complete = false
	}
	f.Exists, f.Release, f.Content, f.Migration, f.Weight = true, c.Release, c.Content, c.Migration, weight
	return true
}

func (w *world) smoke(i int, b *build, target v1alpha1.SmokeTarget, record *v1alpha1.ReleaseEnvironmentStatus) {
	failing := map[v1alpha1.SmokeTarget]fault{v1alpha1.SmokeStable: badForOldPods, v1alpha1.SmokeCanary: badCanary, v1alpha1.SmokeEnvironment: badTogether}
	result := v1alpha1.SmokeResult{Target: target, Name: "login", Attempts: 1, Time: metav1.Time{Time: w.now}}
	result.Passed = !b.bad(i, failing[target]) && (!w.places[i].flaky || !w.luck(20))
	var results []v1alpha1.SmokeResult
	for _, r := range record.SmokeTests {
		if r.Target != target {
			results = append(results, r)
		} else {
			result.Attempts = r.Attempts + 1
		}
	}
	record.SmokeTests = append(results, result)
}

func (p *place) cleanUp(keep string) bool {
	changed := false
	for run, j := range p.jobs {
		if run != keep && (j.done || j.failed || j.stuck) && !strings.HasPrefix(run, "contract") && !strings.HasPrefix(run, "backfill") {
			delete(p.jobs, run)
			changed = true
		}
	}
	return changed
}

// move lets everything that is under way in the cluster take its next step, each with the given probability in percent.
func (w *world) move(percent int) bool {
	changed := false
	moves := func() bool { return w.chance == nil || w.chance(percent) }
	for i, p := range w.places {
		if p.taken != p.weight && moves() {
			p.taken = p.weight // nobody tells the operator
		}
		if p.stopping && moves() {
			p.canary, p.stopping, changed = Fleet{}, false, true
			w.note(p.name, "  the canary is gone")
		}
		for _, run := range runs(p.jobs) {
			if j := p.jobs[run]; !j.done && !j.failed && !j.stuck && moves() {
				w.finish(i, run, j)
				changed = true
			}
		}
		changed = w.start(i, &p.stable, "pods", moves) || changed
		if !p.stopping {
			changed = w.start(i, &p.canary, "canary", moves) || changed
		}
	}
	return changed
}

// runs are in order, so that a seed always tells the same story.
func runs(jobs map[string]*job) []string {
	var out []string
	for run := range jobs {
		out = append(out, run)
	}
	slices.Sort(out)
	return out
}

func (w *world) finish(i int, run string, j *job) {
	p := w.places[i]
	what, of, _ := strings.Cut(run, " ")
	refused := slices.ContainsFunc(w.builds, func(b *build) bool {
		its := strings.HasPrefix(of, b.Release+" ")
		tried, removed := what == "rehearsal" && its, what == "contract-rehearsal" && its
		return (b.Migration == run || tried) && b.bad(i, badMigration) || removed && b.bad(i, badContract)
	})
	switch {
	case refused:
		j.failed, j.at = true, w.now
		w.note(p.name, "  the database refuses the migrations")
		return
	case what == "contract" && w.build(strings.Fields(of)[0]).bad(i, badContract):
		j.stuck = true
		w.note(p.name, "  the database refuses to remove it")
		return
	case what != run:
		w.finishWork(p, what, w.build(strings.Fields(of)[0]), j)
		return
	}
	j.done, p.database[run] = true, true
	w.note(p.name, "  the migrations are done")
}

// finishWork ends a Job that is not the migrations.
func (w *world) finishWork(p *place, what string, b *build, j *job) {
	j.done = true
	switch what {
	case "check":
		check := &v1alpha1.CheckEvidence{Floor: int64(p.floor)}
		if !p.database[b.Migration] {
			check.Pending = []v1alpha1.MigrationFile{{Name: "add.sql"}}
		}
		if w.contracts && b.group() > p.floor {
			check.Backfills = 1
			check.Held = []v1alpha1.MigrationFile{{Name: "drop.sql"}}
		}
		j.found.Check = check
		if b.group() < p.floor {
			j.done, j.stuck = false, true
			w.note(p.name, "  the check is refused")
			return
		}
	case "backup":
		j.found.Backup = &v1alpha1.BackupEvidence{Name: "b1"}
	case "rehearsal", "contract-rehearsal":
		j.found.Rehearsal = &v1alpha1.RehearsalEvidence{Mode: v1alpha1.RehearseData}
	case "contract":
		p.floor = max(p.floor, b.group())
	}
	w.note(p.name, "  the %s is done", what)
}

func (w *world) start(i int, f *Fleet, what string, moves func() bool) bool {
	if !f.Exists || f.Complete || f.Failed || !moves() {
		return false
	}
	if w.build(f.Release).bad(i, badPods) {
		f.Failed = true
		w.note(w.places[i].name, "  the %s of %s do not get ready", what, f.Release)
		return true
	}
	f.Ready, f.Complete = f.Replicas, true
	w.note(w.places[i].name, "  all pods of %s are ready (%s)", f.Release, what)
	return true
}

// tell notes a plan if it says or does anything new.
func (w *world) tell(i int, plan Plan, done []string) {
	if !w.telling {
		return
	}
	waits := string(plan.Step)
	if plan.Waiting != nil {
		waits += " | " + plan.Waiting.Message
		if plan.Waiting.Deadline != nil {
			waits += ", until " + plan.Waiting.Deadline.Format("15:04:05")
		}
	}
	if plan.Rejection != nil {
		waits += " | REJECTED: " + string(plan.Rejection.Reason)
	}
	if len(done) > 0 {
		w.note(w.places[i].name, "-> %s", strings.Join(done, ", "))
	}
	if waits != w.places[i].told {
		w.note(w.places[i].name, "%s", waits)
	}
	w.places[i].told = waits
}

func words(a Action) string {
	switch a.Type {
	case Check:
		return "start a check"
	case Backfill:
		return "start a backfill"
	case Contract:
		return "start to remove what only earlier releases needed"
	case BackUp:
		return "start a backup"
	case Rehearse:
		return "start a rehearsal"
	case RehearseContract:
		return "start a rehearsal of what is removed"
	case Migrate:
		return "start the migrations"
	case ForgetMigration:
		return "remove what is left of the failed run"
	case Keep:
		return "write the pods of " + a.Release
	case StartCanary:
		return fmt.Sprintf("make the canary large enough for %d %%", a.Weight)
	case Shift:
		return fmt.Sprintf("give the canary %d %% of the requests", a.Weight)
	case StopCanary:
		return "stop the canary"
	case RunSmoke:
		return "ask " + string(a.Smoke) + " by the smoke tests"
	}
	return "clean up"
}

// rest runs the operator until nothing is left to do: it looks again only when something has changed or its time has come, so
// a wait that nothing ends is noticed. It ends at a time if one is given. It returns how often it looked.
func (w *world) rest(until time.Time) int {
	changed := true
	for passes := 0; passes < 500; {
		due := !w.wake.IsZero() && !w.wake.After(w.now)
		if !changed && !due {
			if changed = w.move(100); changed {
				w.now = w.now.Add(2 * time.Second) // until the operator hears of it
				continue
			}
			if w.wake.IsZero() || !until.IsZero() && w.wake.After(until) {
				if !until.IsZero() {
					w.now = until
				}
				return passes
			}
			w.now = w.wake
		}
		passes++
		changed = w.pass(1 << 20)
	}
	panic("the operator does not come to rest")
}
