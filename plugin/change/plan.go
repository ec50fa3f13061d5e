package change

import (
	"strings"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Plan is what a changed Microservice would do.
type Plan struct {
	// Changes of the spec, sorted by path.
	Changes []Change `json:"changes"`
	// Release says whether a new release is cut, or an earlier one returned to.
	Release bool `json:"release"`
	// Environments in the order of the new spec, those that are removed last.
	Environments []EnvironmentPlan `json:"environments"`
}

// EnvironmentPlan is what happens in one environment.
type EnvironmentPlan struct {
	Name string `json:"name"`
	// Cost is the greatest of what changes here.
	Cost Cost `json:"cost"`
	// Because are the fields that make it so.
	Because []string `json:"because,omitempty"`
	// Gates that a release passes here, in order; empty without a release, and where it changes nothing.
	Gates []string `json:"gates,omitempty"`
}

// PlanOf compares two specs. before is nil for a Microservice that does not exist yet.
func PlanOf(before, after *v1alpha1.MicroserviceSpec) (Plan, error) {
	if before == nil {
		before = &v1alpha1.MicroserviceSpec{}
	}
	changes, err := Between(before, after)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Changes: changes}
	for i := range after.Environments {
		e := &after.Environments[i]
		known := find(before, e.Name) != nil
		plan.Environments = append(plan.Environments, environmentPlan(e, changes, known))
	}
	for _, e := range before.Environments {
		if find(after, e.Name) == nil {
			plan.Environments = append(plan.Environments, EnvironmentPlan{Name: e.Name, Cost: CostRemove, Because: []string{"environments[" + e.Name + "]"}})
		}
	}
	for i := range plan.Environments {
		if plan.Environments[i].isReleased() {
			plan.Release = true
		}
	}
	for i := range plan.Environments {
		p := &plan.Environments[i]
		if spec := find(after, p.Name); spec != nil && p.isReleased() {
			p.Gates = gates(spec, i > 0)
		}
	}
	return plan, nil
}

func (p EnvironmentPlan) isReleased() bool {
	switch p.Cost {
	case CostLive, CostRestart, CostMigrate, CostMove:
		return true
	}
	return false
}

func find(spec *v1alpha1.MicroserviceSpec, name string) *v1alpha1.EnvironmentSpec {
	for i := range spec.Environments {
		if spec.Environments[i].Name == name {
			return &spec.Environments[i]
		}
	}
	return nil
}

func environmentPlan(e *v1alpha1.EnvironmentSpec, changes []Change, known bool) EnvironmentPlan {
	plan := EnvironmentPlan{Name: e.Name, Cost: CostNone}
	if !known {
		return EnvironmentPlan{Name: e.Name, Cost: CostMove, Because: []string{"environments[" + e.Name + "]"}}
	}
	for _, c := range changes {
		cost := costIn(e.Name, c.Path)
		if cost == CostNone {
			continue
		}
		plan.Because = append(plan.Because, c.Path)
		plan.Cost = Greatest(plan.Cost, cost)
	}
	return plan
}

// costIn is what a change costs in one environment. An override that hides a changed field is not looked for: the plan names at
// least what happens, and may name more.
func costIn(environment, path string) Cost {
	own := "environments[" + environment + "]"
	switch {
	case strings.HasPrefix(path, own+".overrides."):
		return CostOf(strings.TrimPrefix(path, own+".overrides."))
	case path == own+".hosts":
		return CostRoute
	case path == own+".namespace" || strings.HasPrefix(path, own+".cluster"):
		return CostMove
	case strings.HasPrefix(path, "environments["):
		return CostNone
	}
	return CostOf(path)
}

// gates are what a release waits for in an environment, in the order in which it is asked.
func gates(e *v1alpha1.EnvironmentSpec, follows bool) []string {
	var out []string
	add := func(is bool, text string) {
		if is {
			out = append(out, text)
		}
	}
	rollout := v1alpha1.RolloutSpec{}
	if e.Rollout != nil {
		rollout = *e.Rollout
	}
	add(follows, "the environment before has verified it")
	add(len(rollout.Windows) > 0, plural(len(rollout.Windows), "window"))
	add(len(rollout.Freezes) > 0, plural(len(rollout.Freezes), "freeze"))
	add(rollout.Approvals > 0, plural(int(rollout.Approvals), "approval"))
	add(len(rollout.SmokeTests) > 0, plural(len(rollout.SmokeTests), "smoke test"))
	for _, step := range rollout.Steps {
		text := weight(step)
		add(true, text)
	}
	add(rollout.Analysis != nil, "analysis")
	add(rollout.Soak != nil, "soak of "+durationOf(rollout))
	return out
}
