// Package release moves one release through one environment.
//
// Its heart is New, a pure function of what is wanted, what was recorded, what was observed and the time. It returns
// the step, what to do, what to record, what is waited for and when to look again. The package reads nothing, writes
// nothing and asks no clock: package microservice observes and carries out.
package release

import (
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Input is everything that a plan depends on.
type Input struct {
	Now time.Time
	// Microservice is named in the commands that people are told.
	Microservice v1alpha1.MicroserviceReference
	// Environment is the name of the environment. Previous is that of the one before it, empty for the first;
	// PreviousVerified says whether that one has verified the target.
	Environment      string
	Previous         string
	PreviousVerified bool
	// Inherited is what was done to the database for the Fallback, which is done for the target as well if it has the same migrations.
	Inherited *v1alpha1.DatabaseEvidence
	// Target is the release that the environment shall run. Fallback is the one that it has verified last, nil if there is
	// none; it may be the target.
	Target   Candidate
	Fallback *Candidate
	// FallbackAt is when Fallback was verified.
	FallbackAt time.Time
	// Rollout is how the target passes this environment, defaults filled in.
	Rollout Rollout
	// Record is what was recorded of the target in this environment; its zero value (but for the name) before anything was. Once
	// another release becomes the target the caller sets its step to Superseded: should it come back, it starts anew.
	Record v1alpha1.ReleaseEnvironmentStatus
	// Rejection of the target, by this environment or another one.
	Rejection *v1alpha1.Rejection
	// Paused: the whole Microservice is. Nothing is written to the environment, not even a rollback.
	Paused bool
	// Held: somebody keeps the environment at the target, which is then a release that was chosen by hand: the environment
	// before does not matter to it.
	Held bool
	// Abort and Resume are verbs for this environment that were not carried out yet. They are with this plan, in whatever step it
	// is. Resume must be marked as handled before the plan is carried out: done twice it would let a later step go on as well.
	Abort, Resume bool
	// Retry is a verb for the release: its Rejection was taken back already, and what has failed after it was verified is begun anew.
	Retry bool
	Facts Facts
}

// Candidate is a release as one environment would run it.
type Candidate struct {
	// Release is the name of the Release.
	Release string
	// Content is the hash of what its pods run with here.
	Content string
	// Migration is the hash of the run that must come before its pods, empty without a database.
	Migration string
	// Settings is the hash of the live settings, which reach pods without replacing them.
	Settings string
}

// Rollout is v1alpha1.RolloutSpec with defaults filled in.
type Rollout struct {
	Strategy v1alpha1.Strategy
	// Steps of a canary, rising; for BlueGreen a single one of weight 100; none for Rolling.
	Steps []Step
	// SmokeTests says whether there are any.
	SmokeTests bool
	// Gateway says whether Gateways split the requests: a share then counts from when they have taken it.
	Gateway bool
	// Analysis says whether the new pods are compared with the others.
	Analysis                  bool
	NotEnoughData, SourceDown v1alpha1.AnalysisPolicy
	// Backup says whether one comes before migrations, Rehearsal whether they are tried on a copy first.
	Backup, Rehearsal bool
	// ContractAfter is how long a release has been verified before what only earlier ones needed is removed.
	ContractAfter time.Duration
	// Soak is 0 for none.
	Soak        time.Duration
	StepTimeout time.Duration
}

// Step is a share of the requests in percent, and how long it is kept at least.
type Step struct {
	Weight int32
	Hold   time.Duration
	// Pause keeps the share until somebody resumes.
	Pause bool
}

// Facts is what was observed of one environment.
type Facts struct {
	// Away says why the environment's cluster cannot be reached, or nil. Nothing else is known then.
	Away *v1alpha1.WaitingFor
	// Blocked is the first of the things that must be mended before anything can be written here (namespace, consent, names,
	// Secrets), or nil. A missing Secret holds up only what has not been admitted; the others hold up everything.
	Blocked *v1alpha1.WaitingFor
	// Gates that are not open (window, approval, budget), in the order in which they are asked. They hold up what has not been
	// admitted, never a rollback.
	Gates []v1alpha1.WaitingFor
	// ApprovedBy are the people whose approvals count for the present plan.
	ApprovedBy []string
	// PlanHash is what they have approved.
	PlanHash string
	// Check comes before the Migration; Backup and Rehearsal do where the Rollout says so. So do Backup, once more, and ContractRehearsal
	// before Contract.
	Check, Backup, Rehearsal, Migration, Backfill, ContractRehearsal, Contract Work
	// Untested says which of the migrations the environment before has not passed, empty if it has passed them all. It is asked once
	// there is a Check.
	Untested string
	// Older names the environments that share the database, or may, and have pods of another release than the target.
	Older []string
	// Window is closed where it is set: what changes the schema later waits for it too.
	Window *v1alpha1.WaitingFor
	// Stable is the Deployment that all requests go to at weight 0; Canary the one beside it.
	Stable, Canary Fleet
	// Weight is the share of the requests that the canary gets at present, in percent.
	Weight int32
	// Gateway says why the requests do not follow Weight yet; nil without a gateway, and once every Gateway has taken it.
	Gateway *v1alpha1.WaitingFor
	// GatewayBehind: a Gateway still sends requests as it was told before.
	GatewayBehind bool
	// Smoke are the smoke tests by target. A target that was not asked yet is SmokePending.
	Smoke map[v1alpha1.SmokeTarget]Smoke
	// Analysis is the verdict over the time since Record.Since. Its zero value: not asked.
	Analysis Analysis
}

// Work is a Job on the database that the target needs, or a backup that somebody else makes of it.
type Work struct {
	// Done: it has reached its aim. Of Migration: the schema holds what the target needs.
	Done bool
	// Failed: it was refused at FailedAt, for good. A Migration that failed before the target was admitted is forgotten.
	Failed   bool
	FailedAt time.Time
	// Stuck: a person has to mend what holds it up.
	Stuck bool
	// Waiting says what holds it up, or why it was refused. Its Deadline is when the next attempt is due, if one is.
	Waiting *v1alpha1.WaitingFor
	// Next is when to look again; zero if a watch tells.
	Next time.Time
	// Found is what it has found out, once Done: of Backup and ContractRehearsal in the same place, whatever they come before.
	Found v1alpha1.DatabaseEvidence
	// SchemaVersion after a Migration, if it is known.
	SchemaVersion *int64
}

// Fleet is a Deployment and its pods.
type Fleet struct {
	Exists bool
	// Release is the one that its template was written for, as far as it tells.
	Release string
	// Content is the hash of what its template runs with, Migration that of the run that came before it.
	// Settings is that of the live settings that its pods are to have.
	Content, Migration, Settings string
	// Weight, of a canary, is that of the StartCanary that decided the number of its pods.
	Weight int32
	// Replicas are wanted, Ready are there and of the present template.
	Replicas, Ready int32
	// Complete: all pods are of the present template, available and run with the settings meant for them, none is left of another.
	Complete bool
	// Failed: the Deployment gave up waiting for the pods of its present template, or a pod refuses its settings.
	Failed bool
	// Waiting says why it is not complete.
	Waiting *v1alpha1.WaitingFor
}

// SmokeState is how far the smoke tests of one target have come.
type SmokeState int

// The states.
const (
	SmokePending SmokeState = iota
	SmokeRunning
	SmokePassed
	SmokeFailed
)

// Smoke is the outcome of the smoke tests of one target. Message names the test that failed or is running, and what is wrong.
type Smoke struct {
	State   SmokeState
	Message string
	// Next is when to try again; zero if a watch tells.
	Next time.Time
	// Waiting is what a test lacks and a person has to mend before an attempt can be made, or nil.
	Waiting *v1alpha1.WaitingFor
}

// Analysis is a comparison. Next is when there will be another reading.
type Analysis struct {
	Verdict v1alpha1.Verdict
	Message string
	Next    time.Time
}

// New plans the next pass of the target through the environment.
func New(in Input) Plan {
	p := &pass{Input: in}
	p.remember()
	for _, rule := range rules {
		if plan := rule(p); plan != nil {
			return p.lookAgain(*plan)
		}
	}
	return p.lookAgain(*p.keepVerified())
}

// rules in the order in which they are asked: first what people and failures say, then the steps. Each returns the plan, or nil
// to let the next one speak. A step that has ended lets the next one begin in the same pass.
var rules = []func(*pass) *Plan{
	(*pass).abort,
	(*pass).resume,
	(*pass).retried,
	(*pass).paused,
	(*pass).away,
	(*pass).blocked,
	(*pass).rejected,
	(*pass).verified,
	(*pass).admit,
	(*pass).check,
	(*pass).backUp,
	(*pass).rehearse,
	(*pass).expand,
	(*pass).canary,
	(*pass).promote,
	(*pass).soak,
}

// Plan is what to do in an environment, and what to tell about it.
type Plan struct {
	Step v1alpha1.Step
	// Actions in the order in which they are carried out. Each is idempotent, and any prefix of them may have happened already.
	Actions []Action
	// Waiting is nil when all is as it shall be. At the step Verified it may still tell that pods have been lost, that somebody
	// holds the environment, or what keeps drift from being undone. Its Since is left to the caller.
	Waiting *v1alpha1.WaitingFor
	// Stalled: nothing will change until a person acts.
	Stalled bool
	// WakeUp is when to look again if nothing has happened; zero for never. It may have passed: look again at once, after Record
	// was written.
	WakeUp time.Time
	// Record is what to record of the target in this environment, after the actions.
	Record v1alpha1.ReleaseEnvironmentStatus
	// Rejection is set when the target has just failed here. There are no actions then: it is recorded first and rolled back in
	// the next pass, so that a failure is never forgotten.
	Rejection *v1alpha1.Rejection
}

// Action is one thing to do.
type Action struct {
	Type ActionType
	// Release is the one that Keep and StartCanary write.
	Release string
	// Weight that Shift sets, and that StartCanary makes enough pods for.
	Weight int32
	// Smoke is the target that Smoke asks.
	Smoke v1alpha1.SmokeTarget
}

// ActionType says what to do.
type ActionType string

// What can be done.
const (
	// Check holds migrations and database against each other.
	Check ActionType = "Check"
	// BackUp makes a backup of the database and proves it, or has somebody else make one.
	BackUp ActionType = "BackUp"
	// Rehearse tries the migrations on a copy.
	Rehearse ActionType = "Rehearse"
	// RehearseContract tries on a copy what Contract does.
	RehearseContract ActionType = "RehearseContract"
	// Migrate brings the schema towards what the target needs.
	Migrate ActionType = "Migrate"
	// ForgetMigration removes the evidence of a run that failed before the target was admitted anew.
	ForgetMigration ActionType = "ForgetMigration"
	// Backfill fills rows.
	Backfill ActionType = "Backfill"
	// Contract removes what only releases before the target needed.
	Contract ActionType = "Contract"
	// Keep writes the stable Deployment and everything around it so that it runs Release.
	Keep ActionType = "Keep"
	// StartCanary writes the Deployment beside it, with as many pods as Weight needs, and notes Weight on it.
	StartCanary ActionType = "StartCanary"
	// Shift gives the canary Weight percent of the requests.
	Shift ActionType = "Shift"
	// StopCanary removes the canary's Deployment. It comes only after Shift to 0 or a complete promotion.
	StopCanary ActionType = "StopCanary"
	// RunSmoke makes one attempt at each smoke test of a target that has not ended.
	RunSmoke ActionType = "RunSmoke"
	// CleanUp removes what earlier releases left behind.
	CleanUp ActionType = "CleanUp"
)
