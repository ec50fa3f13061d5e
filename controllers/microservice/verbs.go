package microservice

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/verb"
)

// orders are the verbs of one pass.
type orders struct {
	list []verb.Order
	// problems are verbs that cannot be carried out, to be told once.
	problems []verb.Problem
}

func ordersOf(ms *v1alpha1.Microservice) orders {
	var names []string
	for _, e := range ms.Spec.Environments {
		names = append(names, e.Name)
	}
	list, problems := verb.Parse(ms.Annotations, ms.Status.Handled, names, abandoned(ms))
	return orders{list: list, problems: problems}
}

// has reports whether a verb was given, for an environment or for all of them.
func (o orders) has(name verb.Name, environment string) bool {
	return slices.ContainsFunc(o.list, func(order verb.Order) bool {
		return order.Verb == name && (order.Environment == environment || order.Environment == "")
	})
}

// abandoned are the clusters that hold something, or may, and that no environment is in any more.
func abandoned(ms *v1alpha1.Microservice) []string {
	wanted := clustersOf(ms)
	var out []string
	for _, key := range noted(ms) {
		if !wanted[key] || !ms.DeletionTimestamp.IsZero() {
			out = append(out, key.Secret)
		}
	}
	return out
}

// forgets reports whether a cluster is given up.
func (o orders) forgets(secret string) bool {
	return slices.ContainsFunc(o.list, func(order verb.Order) bool { return order.Verb == verb.Forget && order.Cluster == secret })
}

// markResume notes, before anything is done, that an order to resume was taken. Carried out twice it would let a later step
// pass as well; lost, it is given again.
func (r *Reconciler) markResume(ctx context.Context, ms *v1alpha1.Microservice, o orders) error {
	for _, order := range o.list {
		if order.Verb != verb.Resume {
			continue
		}
		before := ms.DeepCopy()
		setHandled(ms, order.Verb, order.Value)
		letGo(ms, order.Environment)
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := r.Client.Status().Patch(ctx, ms, patch); err != nil {
			return fmt.Errorf("noting the order to resume: %w", err)
		}
	}
	return nil
}

// hold keeps environments where an order says so. It returns the problem of one that cannot be carried out.
func hold(ms *v1alpha1.Microservice, o *orders, releases []v1alpha1.Release, now time.Time) {
	for _, order := range o.list {
		if order.Verb != verb.Hold {
			continue
		}
		name := order.Release
		if last := verifiedLast(releases, order.Environment); name == "" && last != nil {
			name = last.Name
		}
		if named(releases, name) == nil {
			o.problems = append(o.problems, verb.Problem{Verb: order.Verb, Value: order.Value, Message: noSuchRelease(order)})
			continue
		}
		for i := range ms.Status.Environments {
			if e := &ms.Status.Environments[i]; e.Name == order.Environment {
				e.Held = &v1alpha1.Hold{Release: name, Since: metav1.NewTime(now.Truncate(time.Second))}
			}
		}
	}
}

func noSuchRelease(order verb.Order) string {
	if order.Release == "" {
		return "environment " + order.Environment + " has verified no release that it could be held at; name one, as in ENVIRONMENT/RELEASE/TOKEN"
	}
	return "there is no release " + order.Release + "; kubectl get releases lists those that are kept"
}

// letGo lets an environment go on that was held.
func letGo(ms *v1alpha1.Microservice, environment string) {
	for i := range ms.Status.Environments {
		if e := &ms.Status.Environments[i]; e.Name == environment {
			e.Held = nil
		}
	}
}

// setHandled notes what was carried out, or could not be.
func (o orders) setHandled(ms *v1alpha1.Microservice) {
	for _, order := range o.list {
		setHandled(ms, order.Verb, order.Value)
	}
	for _, problem := range o.problems {
		setHandled(ms, problem.Verb, problem.Value)
	}
}

func setHandled(ms *v1alpha1.Microservice, name verb.Name, value string) {
	handled := maps.Clone(ms.Status.Handled)
	if handled == nil {
		handled = map[string]string{}
	}
	handled[string(name)] = value
	ms.Status.Handled = handled
}

// tell sends an event for each verb that could not be carried out.
func (o orders) tell(r *Reconciler, ms *v1alpha1.Microservice) {
	for _, problem := range o.problems {
		r.event(ms, "metadata.annotations{"+string(problem.Verb)+"}", corev1.EventTypeWarning, "VerbRefused", problem.Message)
	}
}
