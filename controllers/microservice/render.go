package microservice

import (
	"fmt"
	"slices"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/traffic"
)

// render makes the children of each release that the plan may name: the target, the one to go back to, and those that run.
func (s *station) render(ms *v1alpha1.Microservice, o *observed) error {
	s.children = map[string]environment.Children{}
	candidates := []*v1alpha1.Release{s.target, verifiedLast(o.releases, s.name())}
	for _, name := range s.running() {
		candidates = append(candidates, named(o.releases, name))
	}
	for _, candidate := range candidates {
		if candidate == nil {
			continue
		}
		if _, done := s.children[candidate.Name]; done {
			continue
		}
		children, err := environment.ChildrenOf(s.place, s.content(ms, candidate))
		if err != nil {
			return err
		}
		s.children[candidate.Name] = children
	}
	return nil
}

func (s *station) content(ms *v1alpha1.Microservice, rel *v1alpha1.Release) environment.Content {
	return environment.ContentOf(rel, s.name(), environment.ScaleOf(&ms.Spec, s.spec))
}

// running names the releases whose Deployments are there.
func (s *station) running() []string {
	var out []string
	for _, name := range []string{s.place.Name(), s.place.CanaryName()} {
		if live := s.facts.Deployment(name); live != nil {
			out = append(out, live.Annotations[v1alpha1.AnnotationRelease])
		}
	}
	return out
}

// isSettled reports whether the environment runs its target, all pods ready: nothing has to be looked up for it.
func (s *station) isSettled() bool {
	stable := environment.FleetOf(s.facts.Deployment(s.place.Name()), nil)
	children := s.targetChildren()
	return stable.Complete && stable.Content == children.Content && stable.Settings == children.Settings && stable.Migration == children.MigrationHash &&
		s.facts.Deployment(s.place.CanaryName()) == nil
}

// everything returns all objects that may be made, for the names that they bear. Where all is settled they are there already,
// unless one was just asked for that takes no rollout.
func (s *station) everything(ms *v1alpha1.Microservice) ([]manifest.Manifest, error) {
	out, err := s.stable(ms, s.target.Name, 0)
	if err != nil || s.isSettled() || !s.mayTry() {
		return out, err
	}
	canary, err := s.targetChildren().Canary(1, 0)
	if err != nil {
		return nil, err
	}
	return slices.Concat(out, canary), nil
}

// mayTry reports whether a plan of this pass may run pods of the target beside others: there have to be others, and steps, unless it has begun
// already.
func (s *station) mayTry() bool {
	record := recordOf(s.target, s.name())
	if s.facts.Deployment(s.place.CanaryName()) != nil || record.Step == v1alpha1.StepCanary {
		return true
	}
	if record.VerifiedAt == nil && (record.Step == v1alpha1.StepPromote || record.Step == v1alpha1.StepSoak) {
		return false // that is behind it
	}
	others := s.facts.Deployment(s.place.Name()) != nil || len(s.children) > 1
	return others && len(rolloutOf(s.spec).Steps) > 0
}

// rendering is what stable is asked for in a pass.
type rendering struct {
	release string
	weight  int32
}

// stable returns the objects of an environment that runs a release, while the canary has a weight. They must not be changed.
func (s *station) stable(ms *v1alpha1.Microservice, name string, weight int32) ([]manifest.Manifest, error) {
	asked := rendering{name, weight}
	if out, done := s.rendered[asked]; done {
		return out, nil
	}
	out, err := s.renderStable(ms, name, weight)
	if err != nil {
		return nil, err
	}
	if s.rendered == nil {
		s.rendered = map[rendering][]manifest.Manifest{}
	}
	s.rendered[asked] = out
	return out, nil
}

func (s *station) renderStable(ms *v1alpha1.Microservice, name string, weight int32) ([]manifest.Manifest, error) {
	children, ok := s.children[name]
	if !ok {
		return nil, fmt.Errorf("release %s is gone, and environment %s runs it", name, s.name())
	}
	front, err := s.front(ms, weight)
	if err != nil {
		return nil, err
	}
	settings, err := s.generations(children.Generation).ConfigMap(s.place)
	if err != nil {
		return nil, err
	}
	ingress, err := s.ingress(ms)
	if err != nil {
		return nil, err
	}
	out := slices.Concat([]manifest.Manifest{children.ServiceAccount, children.ConfigMap, settings}, children.NetworkPolicy, front, ingress, children.Stable)
	autoscaler, follows, err := children.Autoscaler(s.facts.Deployment(s.place.CanaryName()) != nil)
	if err != nil {
		return nil, err
	}
	if follows {
		out = append(out, autoscaler)
	}
	return out, nil
}

// front returns what requests come through while the canary has a weight.
func (s *station) front(ms *v1alpha1.Microservice, weight int32) ([]manifest.Manifest, error) {
	if isRouted(ms) {
		weight = 0 // the route splits, in front of the Service
	}
	service, err := environment.Service(s.place, traffic.Selector(s.place.Owner, weight), isRouted(ms))
	if err != nil {
		return nil, err
	}
	return []manifest.Manifest{service}, nil
}
