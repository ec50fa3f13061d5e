package board

import (
	"slices"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
	"github.com/mirubato/mirubato/plugin/screen"
	"github.com/mirubato/mirubato/plugin/steering"
)

// environment is one environment of a Microservice.
type environment struct {
	Name       string                   `json:"name"`
	Namespace  string                   `json:"namespace"`
	Step       v1alpha1.Step            `json:"step"`
	Tone       tone                     `json:"tone"`
	Target     named                    `json:"target"`
	Runs       named                    `json:"runs"`
	Verified   named                    `json:"verified"`
	Effect     v1alpha1.Effect          `json:"effect,omitempty"`
	Held       *v1alpha1.Hold           `json:"held,omitempty"`
	Weight     int32                    `json:"weight,omitempty"`
	Canary     []share                  `json:"canary,omitempty"`
	Track      []station                `json:"track"`
	Replicas   int32                    `json:"replicas"`
	Ready      int32                    `json:"ready"`
	Schema     *int64                   `json:"schema,omitempty"`
	Settings   *v1alpha1.SettingsStatus `json:"settings,omitempty"`
	Waiting    *waiting                 `json:"waiting,omitempty"`
	Verbs      []offer                  `json:"verbs"`
	Readings   []reading                `json:"readings,omitempty"`
	SmokeTests []v1alpha1.SmokeResult   `json:"smokeTests,omitempty"`
	ApprovedBy []string                 `json:"approvedBy,omitempty"`
	Database   *database                `json:"database,omitempty"`
}

// named is a release by its name, and its version if the release is known.
type named struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}

// share is a step of a canary.
type share struct {
	Weight int32 `json:"weight"`
	Done   bool  `json:"done"`
	Now    bool  `json:"now"`
	Pause  bool  `json:"pause,omitempty"`
}

// station is a step on the way to being verified.
type station struct {
	Step v1alpha1.Step `json:"step"`
	// State is done, now, ahead, or failed.
	State string     `json:"state"`
	Since *time.Time `json:"since,omitempty"`
	// Seconds that a step took which is done; absent if that is not known.
	Seconds *int64 `json:"seconds,omitempty"`
}

type waiting struct {
	Type     v1alpha1.WaitType `json:"type"`
	Message  string            `json:"message"`
	Since    time.Time         `json:"since"`
	Deadline *time.Time        `json:"deadline,omitempty"`
	Remedy   string            `json:"remedy,omitempty"`
	Person   bool              `json:"person"`
}

// reading is one reading of an analysis: what both sides have answered since the weight began.
type reading struct {
	Time           time.Time        `json:"time"`
	Weight         int32            `json:"weight"`
	Verdict        v1alpha1.Verdict `json:"verdict"`
	Message        string           `json:"message,omitempty"`
	CanaryRequests int64            `json:"canaryRequests"`
	CanaryErrors   int64            `json:"canaryErrors"`
	StableRequests int64            `json:"stableRequests"`
	StableErrors   int64            `json:"stableErrors"`
}

func environmentOf(ms *v1alpha1.Microservice, releases []v1alpha1.Release, e v1alpha1.EnvironmentStatus) (environment, error) {
	name := func(release string) named {
		if found := steering.Find(releases, release); found != nil {
			return named{release, found.Spec.Version}
		}
		return named{Name: release}
	}
	target := steering.Find(releases, e.Target)
	evidence := screen.Evidence(target, e.Name)
	out := environment{
		Name: e.Name, Namespace: e.Namespace, Step: e.Step, Tone: environmentTone(e), Target: name(e.Target), Runs: name(e.Release), Verified: name(e.Verified),
		Effect: e.Effect, Held: e.Held, Weight: e.Weight, Replicas: e.Replicas, Ready: e.ReadyReplicas, Schema: e.SchemaVersion, Settings: e.Settings,
		Canary: canaryOf(ms, e, evidence), Track: trackOf(target, e, evidence), Verbs: []offer{},
	}
	if w := e.WaitingFor; w != nil {
		out.Waiting = &waiting{Type: w.Type, Message: w.Message, Since: w.Since.Time, Remedy: screen.Remedy(ms, e), Person: needsPerson(e)}
		if w.Deadline != nil {
			out.Waiting.Deadline = &w.Deadline.Time
		}
	}
	if evidence != nil {
		out.SmokeTests, out.ApprovedBy = evidence.SmokeTests, evidence.ApprovedBy
		out.Readings, out.Database = readingsOf(evidence), databaseOf(evidence)
	}
	for _, verb := range steering.In(ms, releases, e) {
		made, err := offerOf(verb, releases, e)
		if err != nil {
			return environment{}, err
		}
		out.Verbs = append(out.Verbs, made)
	}
	return out, nil
}

// offerOf is a verb with what whoever gives it has to know or choose.
func offerOf(verb steering.Verb, releases []v1alpha1.Release, e v1alpha1.EnvironmentStatus) (offer, error) {
	out := offer{Verb: verb}
	switch verb {
	case steering.Rollback:
		out.Releases = steering.Earlier(releases, e)
	case steering.Hold:
		out.Releases = []string{e.Verified}
	case steering.Approve:
		out.Plan = e.PlanHash
		from, to := steering.Find(releases, e.Verified), steering.Find(releases, e.Target)
		if from == nil || to == nil {
			return out, nil
		}
		var err error
		out.Changes, err = change.Content(from, to)
		return out, err
	}
	return out, nil
}

// canaryOf are the steps of a canary; none if the environment has none.
func canaryOf(ms *v1alpha1.Microservice, e v1alpha1.EnvironmentStatus, evidence *v1alpha1.ReleaseEnvironmentStatus) []share {
	at := slices.IndexFunc(ms.Spec.Environments, func(spec v1alpha1.EnvironmentSpec) bool { return spec.Name == e.Name })
	if at < 0 || ms.Spec.Environments[at].Rollout == nil {
		return nil
	}
	index := -1 // of the step that it is at
	if e.Step == v1alpha1.StepCanary && evidence != nil {
		index = int(evidence.StepIndex)
	}
	past := slices.Index(forward, e.Step) > slices.Index(forward, v1alpha1.StepCanary)
	var out []share
	for i, step := range ms.Spec.Environments[at].Rollout.Steps {
		out = append(out, share{Weight: step.Weight, Pause: step.Pause, Now: i == index, Done: past || i < index})
	}
	return out
}

// forward are the steps of a release that succeeds, in order.
var forward = []v1alpha1.Step{
	v1alpha1.StepAdmit, v1alpha1.StepCheck, v1alpha1.StepBackUp, v1alpha1.StepRehearse, v1alpha1.StepExpand, v1alpha1.StepCanary,
	v1alpha1.StepPromote, v1alpha1.StepSoak, v1alpha1.StepVerified,
}

// trackOf is the way of the target through the environment. Steps that were passed over, as those of a database are where there is
// none, are left out; of those ahead, only the ones that every release comes to are shown.
func trackOf(target *v1alpha1.Release, e v1alpha1.EnvironmentStatus, evidence *v1alpha1.ReleaseEnvironmentStatus) []station {
	var track []station
	if evidence != nil && evidence.Step == e.Step {
		track = pastOf(evidence.Steps)
	}
	if n := len(track); n == 0 || track[n-1].Step != e.Step {
		track = append(track, station{Step: e.Step})
	}
	last := &track[len(track)-1]
	last.State = "now"
	switch {
	case e.Step == v1alpha1.StepVerified:
		last.State = "done"
	case e.Step == v1alpha1.StepRejected, e.Step == v1alpha1.StepRollBack, target != nil && target.Status.Rejection != nil:
		last.State = "failed"
	}
	at := slices.Index(forward, e.Step)
	if last.State != "now" || at < 0 {
		return track
	}
	for _, step := range []v1alpha1.Step{v1alpha1.StepAdmit, v1alpha1.StepPromote, v1alpha1.StepVerified} {
		if slices.Index(forward, step) > at {
			track = append(track, station{Step: step, State: "ahead"})
		}
	}
	return track
}

// pastOf are steps with their times, from the last time that the release was let in.
func pastOf(steps []v1alpha1.StepTime) []station {
	var out []station
	for i, step := range steps {
		if step.Step == v1alpha1.StepAdmit {
			out = nil
		}
		made := station{Step: step.Step, State: "done", Since: &steps[i].Time.Time}
		if i+1 < len(steps) {
			seconds := int64(steps[i+1].Time.Sub(step.Time.Time).Seconds())
			made.Seconds = &seconds
		}
		out = append(out, made)
	}
	return out
}

func readingsOf(evidence *v1alpha1.ReleaseEnvironmentStatus) []reading {
	var out []reading
	for _, s := range evidence.Analysis {
		out = append(out, reading{
			s.Time.Time, s.Weight, s.Verdict, s.Message, s.CanaryRequests, s.CanaryErrors, s.StableRequests, s.StableErrors,
		})
	}
	return out
}
