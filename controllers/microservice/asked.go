package microservice

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/backup"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/migration"
	"github.com/mirubato/mirubato/controllers/release"
)

// Objects that stand for backups are read by themselves and never watched: a cluster may not know their kinds. They are no children:
// nothing but what is beyond those retained removes them.

// askedBackup is a backup that somebody else makes, and what is to be done about it.
type askedBackup struct {
	request  backup.Request
	object   *unstructured.Unstructured
	decision backup.Decision
}

// lookAsked tells how far somebody else has come with a backup, and remembers it for the action that would ask for it.
func (r *Reconciler) lookAsked(ctx context.Context, s *station, run migration.Run, before migration.Stage) (release.Work, error) {
	if s.input.Rejection != nil || !s.facts.Namespace.Consents {
		return release.Work{}, nil // nobody is asked
	}
	request := backup.Request{
		Source: *run.Backup.Asked, Owner: run.Owner, Namespace: run.Namespace, Release: run.Release, Before: before.String(),
		Since: run.Since, Retain: run.Backup.Retain,
	}
	object, err := request.Object()
	if err != nil {
		return release.Work{}, err
	}
	observed, err := r.observeAsked(ctx, s.cluster, request, object)
	if err != nil {
		return release.Work{}, err
	}
	d := request.Decide(observed)
	s.asked = &askedBackup{request: request, object: object, decision: d}
	return release.Work{
		Done: d.Found != nil, Stuck: d.Stuck, Waiting: d.Waiting, Next: d.Next, Found: v1alpha1.DatabaseEvidence{Backup: d.Found},
	}, nil
}

// observeAsked reads the object of a request and, once it is there, the others of the environment.
func (r *Reconciler) observeAsked(
	ctx context.Context, cluster *clusters.Cluster, request backup.Request, object *unstructured.Unstructured,
) (backup.Observed, error) {
	out := backup.Observed{Name: object.GetName(), Now: r.Now()}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(request.Kind())
	err := cluster.Live.Get(ctx, client.ObjectKeyFromObject(object), live)
	switch {
	case err == nil:
		out.Live = live
	case backup.Refusal(request.Source, err) != nil:
		out.Refusal = err
		return out, nil
	case apierrors.IsNotFound(err):
		out.Left, err = leftSnapshots(ctx, cluster, request, object)
		return out, err
	default:
		return out, fmt.Errorf("reading %s %s/%s: %w", request.Kind().Kind, object.GetNamespace(), object.GetName(), err)
	}
	if !request.Completed(live) {
		return out, nil
	}
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(request.Kind().GroupVersion().WithKind(request.Kind().Kind + "List"))
	if err := cluster.Live.List(ctx, all, client.InNamespace(request.Namespace), client.MatchingLabels(request.Labels())); err != nil {
		return out, fmt.Errorf("listing %s of namespace %s: %w", request.Kind().Kind, request.Namespace, err)
	}
	out.All = all.Items
	return out, nil
}

// leftSnapshots reports whether an earlier object of the name has left any. A cluster that does not know their kind has none.
func leftSnapshots(ctx context.Context, cluster *clusters.Cluster, request backup.Request, object *unstructured.Unstructured) (bool, error) {
	kind, labels, some := request.Snapshots(object)
	if !some {
		return false, nil
	}
	left := &unstructured.UnstructuredList{}
	left.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err := cluster.Live.List(ctx, left, client.InNamespace(request.Namespace), client.MatchingLabels(labels), client.Limit(1))
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("listing %s of namespace %s: %w", kind.Kind, request.Namespace, err)
	}
	return len(left.Items) > 0, nil
}

// ask creates the object that a backup was decided to be asked for by, and removes those that it makes too many.
func (r *Reconciler) ask(ctx context.Context, s *station) error {
	asked := s.asked
	if asked.decision.Create {
		// Created and not applied: what bears its name meanwhile is looked at in the next pass.
		err := s.cluster.Client.Create(ctx, asked.object, manifest.FieldOwner)
		if err == nil || apierrors.IsAlreadyExists(err) {
			return nil
		}
		if refusal := backup.Refusal(asked.request.Source, err); refusal != nil {
			s.plan.Waiting, s.plan.Stalled = refusal, true
			return nil
		}
		// As an error it would be tried again more and more seldom, and nobody would be told why.
		if hindrance := backup.Hindrance(asked.request, err); hindrance != nil {
			s.plan.Waiting = hindrance
			return nil
		}
		return fmt.Errorf("creating %s %s/%s: %w", asked.request.Kind().Kind, asked.object.GetNamespace(), asked.object.GetName(), err)
	}
	var old []client.Object
	for i := range asked.decision.Delete {
		old = append(old, &asked.decision.Delete[i])
	}
	return r.remove(ctx, s.cluster, old)
}
