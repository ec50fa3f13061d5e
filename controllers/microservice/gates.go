package microservice

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/connections"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/gate"
)

// observeGates asks the gates of an environment. Once the target was admitted, or cannot be, only the approvals that let it in
// are looked at, to mark them.
func (r *Reconciler) observeGates(ctx context.Context, ms *v1alpha1.Microservice, o *observed, s *station) error {
	facts, record := &s.input.Facts, &s.input.Record
	var err error
	if facts.PlanHash, err = gate.PlanHash(s.work(ms, o)); err != nil {
		return err
	}
	rollout := s.spec.Rollout
	admitted := record.AdmittedAt != nil
	if record.Step == v1alpha1.StepVerified || s.input.Rejection != nil {
		return nil
	}
	if !admitted && facts.Blocked == nil && !ms.Spec.Paused {
		r.observeConnections(ctx, ms, s)
	}
	if rollout == nil {
		return nil
	}
	if !admitted {
		if waiting := gate.Window(rollout.Windows, rollout.Freezes, s.input.Now); waiting != nil {
			facts.Gates = append(facts.Gates, *waiting)
		}
	}
	if rollout.Approvals > 0 && facts.Blocked == nil {
		return r.observeApprovals(ctx, ms, s, admitted)
	}
	return nil
}

// observeConnections holds up a rollout for which the database has too few connections. A pod that runs is asked; where there is
// none, as before the first release, or it does not tell, nothing is held up.
func (r *Reconciler) observeConnections(ctx context.Context, ms *v1alpha1.Microservice, s *station) {
	pods := askable(s.pods.Stable)
	if ms.Spec.Database == nil || len(pods) == 0 || s.isSettled() {
		return
	}
	demand := s.demand(ms)
	if demand.Canary == 0 && !demand.Replaces && !demand.Migrates {
		return // no pod comes: what is there has its connections
	}
	report, ok := connections.Ask(ctx, r.Smoke.Client, s.endpoints(), pods[0])
	if !ok {
		return
	}
	if waiting := connections.Missing(demand, report); waiting != nil {
		s.input.Facts.Gates = append(s.input.Facts.Gates, *waiting)
	}
}

// demand is what the rollout of the target brings about at its height.
func (s *station) demand(ms *v1alpha1.Microservice) connections.Demand {
	facts := s.input.Facts
	out := connections.Demand{
		Stable:   max(environment.ScaleOf(&ms.Spec, s.spec).Max, facts.Stable.Replicas),
		Replaces: facts.Stable.Content != s.input.Target.Content,
		Migrates: !facts.Migration.Done,
	}
	for _, step := range s.input.Rollout.Steps {
		out.Canary = max(out.Canary, s.canaryReplicas(ms, step.Weight))
	}
	return out
}

// work is what would be done in the environment, and so what people approve.
func (s *station) work(ms *v1alpha1.Microservice, o *observed) gate.Work {
	out := gate.Work{
		Microservice: ms.UID,
		Environment:  s.name(),
		Namespace:    s.place.Namespace,
		Release:      s.target.Name,
		ContentHash:  s.target.Spec.ContentHash,
		Content:      s.input.Target.Content,
		Migration:    s.input.Target.Migration,
		Rollout:      s.spec.Rollout,
	}
	if last := verifiedLast(o.releases, s.name()); last != nil && last.Name != s.target.Name {
		out.From = last.Name
	}
	return out
}

func (r *Reconciler) observeApprovals(ctx context.Context, ms *v1alpha1.Microservice, s *station, admitted bool) error {
	if s.facts.Namespace.Outside {
		return nil
	}
	reader := client.Reader(s.cluster.Client)
	if !admitted {
		reader = s.cluster.Live // what lets a release in is never read from a cache
	}
	list := &v1alpha1.ApprovalList{}
	if err := reader.List(ctx, list, client.InNamespace(s.place.Namespace)); err != nil {
		return fmt.Errorf("listing approvals in %s: %w", s.place.Namespace, err)
	}
	question := gate.Question{
		Microservice: client.ObjectKeyFromObject(ms),
		Environment:  s.name(),
		Namespace:    s.place.Namespace,
		Release:      s.target.Name,
		PlanHash:     s.input.Facts.PlanHash,
		Needed:       s.spec.Rollout.Approvals,
		Authors:      []string{s.target.Spec.Author, ms.Annotations[v1alpha1.AnnotationAuthor]},
	}
	if admitted {
		question.Admission = &gate.Admission{PlanHash: s.input.Record.PlanHash, ApprovedBy: s.input.Record.ApprovedBy}
	}
	waiting, approvedBy, marks := gate.Approvals(question, list.Items)
	if waiting != nil {
		s.input.Facts.Gates = append(s.input.Facts.Gates, *waiting)
	}
	s.input.Facts.ApprovedBy = approvedBy
	for _, mark := range marks {
		for i := range list.Items {
			if list.Items[i].Name == mark.Name {
				s.marked = append(s.marked, markedApproval{approval: &list.Items[i], mark: mark})
			}
		}
	}
	return nil
}

// markedApproval is an Approval and what has become of it.
type markedApproval struct {
	approval *v1alpha1.Approval
	mark     gate.Mark
}

// mark tells on each Approval what has become of it.
func (r *Reconciler) mark(ctx context.Context, seen *observed) error {
	for _, s := range seen.stations {
		for _, m := range s.marked {
			before := m.approval.DeepCopy()
			m.approval.Status = v1alpha1.ApprovalStatus{State: m.mark.State, Message: m.mark.Message}
			err := s.cluster.Client.Status().Patch(ctx, m.approval, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
			if client.IgnoreNotFound(err) != nil && !s.leaves(err) {
				return fmt.Errorf("marking approval %s/%s: %w", before.Namespace, before.Name, err)
			}
		}
	}
	return nil
}

// mayAsk reports whether nothing but the environment before may keep the station's rollout from beginning.
func (s *station) mayAsk() bool {
	in := s.input
	return in.Record.AdmittedAt == nil && in.Rejection == nil && !in.Paused && in.Facts.Blocked == nil && in.Facts.Away == nil && len(in.Facts.Gates) == 0 && !s.isSettled()
}

// askBudget asks whether the operator has a place free for one more rollout. It is the last gate: a place is kept for whoever
// was let in.
func (r *Reconciler) askBudget(ms *v1alpha1.Microservice, s *station) {
	if !s.mayAsk() || !s.input.PreviousVerified && !s.input.Held {
		return
	}
	asker := gate.Claim{
		Place:    gate.Place{Microservice: client.ObjectKeyFromObject(ms), Environment: s.name()},
		Database: gate.Database(ms, s.name()),
	}
	if waiting := r.Budget.Ask(s.input.Now, asker, r.Claims.With(ms)); waiting != nil {
		s.input.Facts.Gates = append(s.input.Facts.Gates, *waiting)
	}
}
