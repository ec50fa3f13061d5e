package board

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
	"github.com/mirubato/mirubato/plugin/screen"
	"github.com/mirubato/mirubato/plugin/steering"
)

// tone is how something is to be taken; the page gives each a color and a sign.
type tone string

const (
	toneGood  tone = "good"
	toneMoves tone = "moves"
	toneWaits tone = "waits"
	toneBad   tone = "bad"
	toneIdle  tone = "idle"
)

// overview is all Microservices that somebody may see, by namespace and name.
type overview struct {
	Microservices []row `json:"microservices"`
}

type row struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Standing  string `json:"standing"`
	Tone      tone   `json:"tone"`
	Summary   string `json:"summary"`
	Release   string `json:"release"`
	Version   string `json:"version"`
	// Person says whether a person has to act.
	Person       bool   `json:"person"`
	Environments []mark `json:"environments"`
}

// mark is an environment in a few characters.
type mark struct {
	Name    string            `json:"name"`
	Step    v1alpha1.Step     `json:"step"`
	Weight  int32             `json:"weight,omitempty"`
	Tone    tone              `json:"tone"`
	Waiting v1alpha1.WaitType `json:"waiting,omitempty"`
}

// overviewOf makes the overview. releases are of any of them.
func overviewOf(list []*v1alpha1.Microservice, releases []*v1alpha1.Release) overview {
	byName := map[types.NamespacedName]*v1alpha1.Release{}
	for _, release := range releases {
		byName[client.ObjectKeyFromObject(release)] = release
	}
	out := overview{Microservices: []row{}}
	for _, ms := range list {
		r := row{
			Namespace: ms.Namespace, Name: ms.Name, Standing: screen.Standing(ms), Tone: toneOf(ms), Summary: ms.Status.Summary,
			Release: ms.Status.Release, Environments: []mark{},
		}
		if target := byName[types.NamespacedName{Namespace: ms.Namespace, Name: ms.Status.Release}]; target != nil {
			r.Version = target.Spec.Version
		}
		for _, e := range ms.Status.Environments {
			m := mark{Name: e.Name, Step: e.Step, Weight: e.Weight, Tone: environmentTone(e)}
			if e.WaitingFor != nil {
				m.Waiting = e.WaitingFor.Type
				r.Person = r.Person || needsPerson(e)
			}
			r.Environments = append(r.Environments, m)
		}
		out.Microservices = append(out.Microservices, r)
	}
	slices.SortFunc(out.Microservices, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func toneOf(ms *v1alpha1.Microservice) tone {
	is := func(name string) bool { return meta.IsStatusConditionTrue(ms.Status.Conditions, name) }
	switch {
	case ms.Status.ObservedGeneration != ms.Generation || !ms.DeletionTimestamp.IsZero():
		return toneMoves
	case ms.Spec.Paused:
		return toneWaits
	case is(v1alpha1.ConditionReady):
		return toneGood
	case is(v1alpha1.ConditionStalled):
		return toneBad
	case slices.ContainsFunc(ms.Status.Environments, needsPerson):
		return toneWaits
	case is(v1alpha1.ConditionReconciling):
		return toneMoves
	}
	return toneIdle
}

func environmentTone(e v1alpha1.EnvironmentStatus) tone {
	switch e.Step {
	case v1alpha1.StepVerified:
		return toneGood
	case v1alpha1.StepRejected, v1alpha1.StepRollBack:
		return toneBad
	case v1alpha1.StepSuperseded:
		return toneIdle
	}
	switch {
	case needsPerson(e):
		return toneWaits
	case e.WaitingFor != nil && e.WaitingFor.Type == v1alpha1.WaitPreviousEnvironment:
		return toneIdle
	}
	return toneMoves
}

// needsPerson reports whether an environment waits for somebody, as far as its status tells: there is something that a person can
// do, and no time at which it goes on by itself.
func needsPerson(e v1alpha1.EnvironmentStatus) bool {
	w := e.WaitingFor
	return w != nil && w.Type != v1alpha1.WaitPreviousEnvironment && w.Deadline == nil && (w.Unblock != "" || w.Type == v1alpha1.WaitApproval)
}

// detail is one Microservice.
type detail struct {
	Namespace    string        `json:"namespace"`
	Name         string        `json:"name"`
	Standing     string        `json:"standing"`
	Tone         tone          `json:"tone"`
	Summary      string        `json:"summary"`
	Image        string        `json:"image"`
	Release      *cut          `json:"release,omitempty"`
	Verbs        []offer       `json:"verbs"`
	Conditions   []condition   `json:"conditions"`
	Environments []environment `json:"environments"`
	History      []cut         `json:"history"`
}

// offer is an order that makes sense now.
type offer struct {
	Verb steering.Verb `json:"verb"`
	// Releases to choose from, the likeliest first; none where there is no choice.
	Releases []string `json:"releases,omitempty"`
	// Plan that an approval is bound to, and what would change by it.
	Plan    string          `json:"plan,omitempty"`
	Changes []change.Change `json:"changes,omitempty"`
}

type condition struct {
	Type    string                 `json:"type"`
	Status  metav1.ConditionStatus `json:"status"`
	Reason  string                 `json:"reason"`
	Message string                 `json:"message"`
	Since   time.Time              `json:"since"`
}

// cut is a release in short.
type cut struct {
	Name      string              `json:"name"`
	Version   string              `json:"version"`
	Author    string              `json:"author,omitempty"`
	Since     time.Time           `json:"since"`
	State     string              `json:"state"`
	Tone      tone                `json:"tone"`
	Summary   string              `json:"summary,omitempty"`
	Rejection *v1alpha1.Rejection `json:"rejection,omitempty"`
	Passed    []passage           `json:"passed,omitempty"`
}

// passage is how long a release took in an environment, from being admitted to being verified.
type passage struct {
	Environment string        `json:"environment"`
	Step        v1alpha1.Step `json:"step"`
	Seconds     int64         `json:"seconds,omitempty"`
}

// detailOf makes the page of one. releases are its own, the newest first.
func detailOf(ms *v1alpha1.Microservice, releases []v1alpha1.Release) (detail, error) {
	out := detail{
		Namespace: ms.Namespace, Name: ms.Name, Standing: screen.Standing(ms), Tone: toneOf(ms), Summary: ms.Status.Summary, Image: ms.Spec.Image,
		Verbs: []offer{}, Conditions: []condition{}, Environments: []environment{}, History: []cut{},
	}
	for _, verb := range steering.Overall(ms, releases) {
		out.Verbs = append(out.Verbs, offer{Verb: verb})
	}
	for _, c := range ms.Status.Conditions {
		out.Conditions = append(out.Conditions, condition{c.Type, c.Status, c.Reason, c.Message, c.LastTransitionTime.Time})
	}
	for i := range releases {
		out.History = append(out.History, cutOf(&releases[i]))
	}
	if target := steering.Find(releases, ms.Status.Release); target != nil {
		of := cutOf(target)
		out.Release = &of
	}
	for _, e := range ms.Status.Environments {
		made, err := environmentOf(ms, releases, e)
		if err != nil {
			return detail{}, fmt.Errorf("comparing releases of %s: %w", ms.Name, err)
		}
		out.Environments = append(out.Environments, made)
	}
	return out, nil
}

func cutOf(r *v1alpha1.Release) cut {
	out := cut{
		Name: r.Name, Version: r.Spec.Version, Author: r.Spec.Author, Since: r.CreationTimestamp.Time, State: screen.State(r), Tone: toneIdle,
		Summary: r.Status.Summary, Rejection: r.Status.Rejection,
	}
	for _, e := range r.Status.Environments {
		p := passage{Environment: e.Name, Step: e.Step}
		if e.AdmittedAt != nil && e.VerifiedAt != nil {
			p.Seconds = int64(e.VerifiedAt.Sub(e.AdmittedAt.Time).Seconds())
		}
		out.Passed = append(out.Passed, p)
	}
	switch {
	case r.Status.Rejection != nil:
		out.Tone = toneBad
	case r.Status.Active && slices.ContainsFunc(r.Status.Environments, func(e v1alpha1.ReleaseEnvironmentStatus) bool { return e.Step != v1alpha1.StepVerified }):
		out.Tone = toneMoves
	case r.Status.Active:
		out.Tone = toneGood
	}
	return out
}
