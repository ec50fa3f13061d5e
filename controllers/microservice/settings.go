package microservice

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	settingsapi "github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/gate"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/release"
	"github.com/mirubato/mirubato/controllers/settings"
)

// delivery is how live settings reach the pods of a station.
type delivery struct {
	// byNumber are the generations that a pod may ask for.
	byNumber map[int64]settingsapi.Settings
	// key is what pods verify by what they are sent.
	key string
	// stable and canary are the sides by which pods are told, see keep.
	stable, canary settings.Side
	assigned       []settings.Assignment
	// awaited says whether there is anything to be acknowledged, generation which one by the stable pods; result is how far they are.
	awaited    bool
	generation int64
	result     settings.Result
}

func settingsKey(ms *v1alpha1.Microservice, environment string) settings.Key {
	return settings.Key{Microservice: client.ObjectKeyFromObject(ms), Environment: environment}
}

// collectSettings gathers the generations that a plan may name, and those that pods still use.
func (s *station) collectSettings(ms *v1alpha1.Microservice, o *observed) {
	used := map[int64]bool{}
	for i := range s.facts.Pods {
		used[settings.Own(s.facts.Pods[i])] = true
	}
	s.delivery.byNumber = map[int64]settingsapi.Settings{}
	for i := range o.releases {
		rel := &o.releases[i]
		if _, rendered := s.children[rel.Name]; rendered || used[rel.Spec.Number] {
			s.delivery.byNumber[rel.Spec.Number] = s.content(ms, rel).Settings
		}
	}
}

// generations are what is written while the stable pods are to run a release.
func (s *station) generations(current int64) environment.Generations {
	return environment.Generations{Current: current, Key: s.delivery.key, ByNumber: s.delivery.byNumber}
}

// observeSettings finds out which pods run with the settings meant for them. A side whose pods do not is not complete.
func (r *Reconciler) observeSettings(ctx context.Context, ms *v1alpha1.Microservice, s *station, facts *release.Facts) {
	side := func(fleet release.Fleet) settings.Side {
		return settings.Side{Content: fleet.Content, Generation: s.children[fleet.Release].Generation}
	}
	d := &s.delivery
	d.stable, d.canary = side(facts.Stable), side(facts.Canary)
	d.assigned, d.generation = settings.Assign(s.facts.Pods, d.stable, d.canary), d.stable.Generation
	key := settingsKey(ms, s.name())
	if d.awaited = !s.generations(d.stable.Generation).Empty(); !d.awaited || ms.Spec.Paused {
		r.Settings.Forget(key)
		return
	}
	pods := settings.Pods{Assigned: d.assigned, Endpoints: s.endpoints()}
	if s.facts.Namespace.Consents {
		pods.Text = s.generations(d.generation).Text
	}
	d.result = r.Settings.Read(ctx, key, pods, s.input.Now)
	r.Telemetry.Acknowledged(s.measured(), d.acknowledged(), s.input.Now)
	d.await(ownership.ComponentAPI, &facts.Stable)
	d.await(ownership.ComponentCanary, &facts.Canary)
}

// await holds up a side until its pods have acknowledged.
func (d *delivery) await(component ownership.Component, fleet *release.Fleet) {
	for _, a := range d.assigned {
		reason, missing := d.result.Missing[a.Pod.Name]
		if !missing || ownership.ComponentOf(a.Pod.Labels) != component || a.Pod.Labels[v1alpha1.LabelContent] != fleet.Content {
			continue
		}
		failed := d.result.Failed[a.Pod.Name]
		if fleet.Complete || failed {
			fleet.Waiting = &v1alpha1.WaitingFor{
				Type:    v1alpha1.WaitPods,
				Message: fmt.Sprintf("pod %s does not run with generation %d of the settings: %s", a.Pod.Name, a.Generation, reason),
			}
		}
		fleet.Complete = false
		fleet.Failed = fleet.Failed || failed
	}
}

// keep says what the stable pods are told once their Deployment is written, without waiting until it is found written.
func (d *delivery) keep(children environment.Children, pods []corev1.Pod) {
	d.stable = settings.Side{Content: children.Content, Generation: children.Generation}
	d.assigned = settings.Assign(pods, d.stable, d.canary)
}

// toldAtOnce is how many pods are told at the same time: one after the other, the last of many would wait for all answers.
const toldAtOnce = 16

// tellPods tells each pod its generation, and reminds the kubelet of those that are late. The settings were written before the
// Deployment that they belong to.
func (r *Reconciler) tellPods(ctx context.Context, s *station) error {
	if !s.facts.Namespace.Consents {
		return nil
	}
	var all errgroup.Group
	all.SetLimit(toldAtOnce)
	for _, a := range s.delivery.assigned {
		if _, there := s.delivery.byNumber[a.Generation]; there {
			all.Go(func() error { return r.tell(ctx, s, a) })
		}
	}
	return all.Wait()
}

func (r *Reconciler) tell(ctx context.Context, s *station, a settings.Assignment) error {
	switch {
	case !a.Given():
		key, told := environment.ObjectKey{Kind: podKind, Name: a.Pod.Name}, strconv.FormatInt(a.Generation, 10)
		if s.unheard[key] == told {
			return nil
		}
		pod := a.Pod.DeepCopy()
		if err := r.patchedPod(ctx, s, pod, a.Patch(r.Now())); err != nil {
			return err
		}
		r.made.remember(s, key, pod, told, r.Now())
		r.Telemetry.Told(s.measured(), &a.Pod, r.Now())
		return nil
	case s.delivery.result.Overdue[a.Pod.Name]:
		return r.patchPod(ctx, s, &a.Pod, a.Reminder())
	}
	return nil
}

// measured is how the station is called where something of it is measured.
func (s *station) measured() gate.Place {
	return gate.Place{Microservice: s.place.Owner.Microservice, Environment: s.name()}
}

// acknowledged says of each pod whether it runs with the generation meant for it.
func (d *delivery) acknowledged() map[types.UID]bool {
	out := map[types.UID]bool{}
	for _, a := range d.assigned {
		_, missing := d.result.Missing[a.Pod.Name]
		out[a.Pod.UID] = !missing
	}
	return out
}

// reportSettings tells that somebody else has changed or removed the settings of pods, which is about to be undone.
func (r *Reconciler) reportSettings(ms *v1alpha1.Microservice, s *station, wanted []manifest.Manifest) error {
	i := slices.IndexFunc(wanted, func(m manifest.Manifest) bool { return m.Kind() == "ConfigMap" && m.Name() == s.place.SettingsName() })
	if i < 0 || s.facts.Deployment(s.place.Name()) == nil {
		return nil
	}
	key := environment.KeyOf(wanted[i])
	if _, unheard := s.unheard[key]; unheard {
		return nil // nobody can tell yet
	}
	live := s.facts.Live[key]
	happened := ""
	if live == nil {
		happened = "is gone"
	} else if wanted[i].WasWritten(live) {
		holds, err := r.holds(s, wanted[i])
		if err != nil || holds {
			return err
		}
		happened = "was edited"
	}
	if happened != "" {
		r.event(ms, partOf(s.name()), corev1.EventTypeWarning, "SettingsRestored",
			fmt.Sprintf("%s: ConfigMap %s %s; it is written again", s.name(), s.place.SettingsName(), happened))
	}
	return nil
}

// status is nil while no settings are in play.
func (d *delivery) status() *v1alpha1.SettingsStatus {
	if !d.awaited || d.generation == 0 {
		return nil
	}
	return &v1alpha1.SettingsStatus{
		Generation: d.generation, Acknowledged: d.result.Acknowledged, Pods: d.result.Pods, Rejected: d.result.Rejected,
	}
}
