package microservice

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/migration"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/release"
	"github.com/mirubato/mirubato/controllers/smoke"
	"github.com/mirubato/mirubato/controllers/traffic"
)

// apply carries out what was planned. Any prefix of it may have happened already: every write is idempotent.
func (r *Reconciler) apply(ctx context.Context, ms *v1alpha1.Microservice, seen *observed) error {
	for _, s := range seen.stations {
		err := r.applyTo(ctx, ms, s)
		if s.leaves(err) {
			// What was done there is found when it is back, and what was not is planned again.
			s.freeze(ms, seen, r.Now())
			s.plan = release.New(s.input)
			continue
		}
		if err != nil {
			return fmt.Errorf("environment %s: %w", s.name(), err)
		}
	}
	if ms.Spec.Paused {
		return nil
	}
	for _, left := range seen.remove {
		if err := r.remove(ctx, left.cluster, left.objects); err != nil {
			if !left.cluster.Key.Own() && clusters.Trouble(err) != nil {
				left.cluster.Doubt()
				seen.unfinished = true
				continue
			}
			return err
		}
	}
	return nil
}

// applyTo carries out what was planned for an environment.
func (r *Reconciler) applyTo(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	s.proven = held{}
	defer func() { r.proofs.keep(s.place.Owner, s.proven) }()
	for _, action := range s.plan.Actions {
		if err := r.act(ctx, ms, s, action); err != nil {
			return err
		}
	}
	if ms.Spec.Paused || s.away != nil {
		return nil
	}
	return r.tellPods(ctx, s)
}

func (r *Reconciler) act(ctx context.Context, ms *v1alpha1.Microservice, s *station, action release.Action) error {
	switch action.Type {
	case release.Check, release.BackUp, release.Rehearse, release.Migrate, release.Backfill, release.RehearseContract, release.Contract:
		return r.work(ctx, s, action.Type)
	case release.ForgetMigration:
		return r.remove(ctx, s.cluster, failedRuns(s))
	case release.Keep:
		return r.keep(ctx, ms, s, action.Release)
	case release.StartCanary:
		return r.startCanary(ctx, ms, s, action)
	case release.Shift:
		return r.shift(ctx, ms, s, action.Weight)
	case release.StopCanary:
		// The Deployment last: it is what tells that there is still something to stop.
		return r.remove(ctx, s.cluster, s.live("Service", s.place.CanaryName(), "Deployment", s.place.CanaryName()))
	case release.RunSmoke:
		return r.smoke(ctx, ms, s, action.Smoke)
	case release.CleanUp:
		return r.cleanUp(ctx, ms, s)
	}
	return fmt.Errorf("the plan asks for %s, which nobody can do", action.Type)
}

// keep has the stable pods be those of a release, and has them told of its settings in the same pass.
func (r *Reconciler) keep(ctx context.Context, ms *v1alpha1.Microservice, s *station, of string) error {
	wanted, err := s.stable(ms, of, s.input.Facts.Weight)
	if err != nil {
		return err
	}
	if err := r.writeEntries(ctx, ms, s); err != nil {
		return err
	}
	if err := r.reportSettings(ms, s, wanted); err != nil {
		return err
	}
	if err := r.writeStable(ctx, s, s.children[of], wanted); err != nil {
		return err
	}
	s.delivery.keep(s.children[of], s.facts.Pods)
	return nil
}

// write applies the manifests that differ from what is there.
func (r *Reconciler) write(ctx context.Context, s *station, wanted []manifest.Manifest) error {
	for _, m := range wanted {
		holds, err := r.holds(s, m)
		if err != nil {
			return err
		}
		if holds {
			continue
		}
		written, err := manifest.Apply(ctx, s.cluster.Client, m)
		if err != nil {
			return err
		}
		if err := r.wrote(s, m, written); err != nil {
			return err
		}
	}
	return nil
}

// wrote notes what was stored. A new Deployment is told of as if it had been found: another status in a moment would say no more.
func (r *Reconciler) wrote(s *station, m manifest.Manifest, stored *unstructured.Unstructured) error {
	key := environment.KeyOf(m)
	r.made.remember(s, key, stored, m.Hash(), r.Now())
	if key.Kind != "Deployment" || s.facts.Live[key] != nil {
		return nil
	}
	found := &appsv1.Deployment{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(stored.Object, found); err != nil {
		return fmt.Errorf("reading what became of Deployment %s: %w", key.Name, err)
	}
	s.facts.Live[key] = found
	if key.Name == s.place.Name() {
		s.input.Facts.Stable = environment.FleetOf(found, s.facts.Pods)
	}
	return nil
}

func (r *Reconciler) startCanary(ctx context.Context, ms *v1alpha1.Microservice, s *station, action release.Action) error {
	children, ok := s.children[action.Release]
	if !ok {
		return fmt.Errorf("release %s is gone", action.Release)
	}
	canary, err := children.Canary(max(s.canaryReplicas(ms, action.Weight), 1), action.Weight)
	if err != nil {
		return err
	}
	return r.write(ctx, s, slices.Concat([]manifest.Manifest{children.ServiceAccount, children.ConfigMap}, children.NetworkPolicy, canary))
}

// shift gives the canary a share of the requests. Labels come before the Service where they decide, and after it where the
// Service alone does, so that at no moment fewer pods are in service than before or after.
func (r *Reconciler) shift(ctx context.Context, ms *v1alpha1.Microservice, s *station, weight int32) error {
	front, err := s.front(ms, weight)
	if err != nil {
		return err
	}
	if isRouted(ms) {
		s.input.Facts.Weight = weight
		return r.writeRoute(ctx, ms, s, weight)
	}
	steps := []func() error{
		func() error { return r.label(ctx, s, traffic.LabelsFor(weight, s.pods)) },
		func() error { return r.write(ctx, s, front) },
	}
	if !traffic.ByLabels(weight) {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	s.input.Facts.Weight = weight // what is kept after this in the same pass must not turn it back
	return nil
}

// label puts pods in service and then takes others out.
func (r *Reconciler) label(ctx context.Context, s *station, labels traffic.Labels) error {
	for i := range labels.Add {
		if err := r.patchPod(ctx, s, &labels.Add[i], traffic.Patch(true)); err != nil {
			return err
		}
	}
	for i := range labels.Remove {
		if err := r.patchPod(ctx, s, &labels.Remove[i], traffic.Patch(false)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) patchPod(ctx context.Context, s *station, pod *corev1.Pod, patch client.Patch) error {
	return r.patchedPod(ctx, s, pod.DeepCopy(), patch)
}

// patchedPod is patchPod that leaves what was stored in pod.
func (r *Reconciler) patchedPod(ctx context.Context, s *station, pod *corev1.Pod, patch client.Patch) error {
	if err := s.cluster.Client.Patch(ctx, pod, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// live returns those of the station's objects that are there, by pairs of kind and name.
func (s *station) live(kindsAndNames ...string) []client.Object {
	var out []client.Object
	for pair := range slices.Chunk(kindsAndNames, 2) {
		if object := s.facts.Live[environment.ObjectKey{Kind: pair[0], Name: pair[1]}]; object != nil && object.GetDeletionTimestamp() == nil {
			out = append(out, object)
		}
	}
	return out
}

func (r *Reconciler) cleanUp(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	old := obsolete(s)
	var runs []smoke.Run
	if s.spec.Rollout != nil {
		run, err := s.smokeRun(ms, v1alpha1.SmokeEnvironment)
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	tests := smoke.Obsolete(s.smokeJobs, runs...)
	for i := range tests {
		old = append(old, &tests[i])
	}
	return r.remove(ctx, s.cluster, old)
}

// failedRuns returns the ended Jobs of the target's migrations.
func failedRuns(s *station) []client.Object {
	var out []client.Object
	for i := range s.facts.Jobs {
		job := &s.facts.Jobs[i]
		if job.Labels[v1alpha1.LabelMigration] == s.targetChildren().MigrationHash && job.DeletionTimestamp == nil {
			out = append(out, job)
		}
	}
	return out
}

// obsolete returns what earlier releases left behind: ConfigMaps and NetworkPolicies
// of no pod any more, and Jobs.
func obsolete(s *station) []client.Object {
	var out []client.Object
	hashes := []string{s.targetChildren().MigrationHash}
	for _, task := range s.tasks {
		if !task.decision.Done {
			hashes = append(hashes, task.hash)
		}
	}
	jobs := migration.Obsolete(hashes, migration.Observed{Jobs: s.facts.Jobs, Pods: s.facts.Pods})
	for i := range jobs {
		out = append(out, &jobs[i])
	}
	read := map[string]bool{s.place.SettingsName(): true}
	for _, children := range s.children {
		read[children.ConfigMap.Name()] = true
	}
	for _, pod := range s.facts.Pods {
		read[s.place.Name()+"-"+pod.Labels[v1alpha1.LabelContent]] = true
	}
	var maps []client.Object
	for key, live := range s.facts.Live {
		if (key.Kind == "ConfigMap" || key.Kind == "NetworkPolicy") && !read[key.Name] && live.GetDeletionTimestamp() == nil {
			maps = append(maps, live)
		}
	}
	slices.SortFunc(maps, func(a, b client.Object) int { return strings.Compare(a.GetName(), b.GetName()) })
	return append(out, maps...)
}

// remove deletes objects and, before they vanish, what they own, so that their disappearance means that no pod is left.
func (r *Reconciler) remove(ctx context.Context, cluster *clusters.Cluster, objects []client.Object) error {
	for _, object := range objects {
		uid := object.GetUID()
		err := cluster.Client.Delete(ctx, object,
			client.PropagationPolicy(metav1.DeletePropagationForeground),
			client.Preconditions{UID: &uid}) // not one that somebody has made anew under the same name
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s %s/%s: %w", r.kindOf(object), object.GetNamespace(), object.GetName(), err)
		}
		r.gone(cluster.ID, object)
	}
	return nil
}

// gone forgets that an object of ours was made in a cluster.
func (r *Reconciler) gone(cluster string, object client.Object) {
	if owner, ok := ownership.Of(object); ok {
		r.made.drop(owner.Microservice, madeKey{cluster, object.GetNamespace(), environment.ObjectKey{Kind: r.kindOf(object), Name: object.GetName()}})
	}
}

// patchStatus writes the status if it changed, and tells about the changes once they are written.
func (r *Reconciler) patchStatus(ctx context.Context, before, ms *v1alpha1.Microservice) error {
	if equal(before.Status, ms.Status) {
		return nil
	}
	// A patch against the version that was read: a newer spec must not get the status of an older one.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, ms, patch); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the status: %w", err))
	}
	r.report(before, ms)
	return nil
}
