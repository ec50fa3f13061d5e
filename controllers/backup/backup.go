// Package backup asks other controllers for a backup of one environment's database, and tells what has become of it: a Backup of
// CloudNativePG, or a VolumeSnapshot.
//
// It owns the shape and the name of those objects, the reading of their statuses, and which of them are too many. What they stand for
// is not restored by anybody here, and the evidence says so: backups that are proved are dumps, which package migration has made.
// Everything here is pure: the caller reads and writes.
package backup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// stage is the value of v1alpha1.LabelStage, as the Jobs that dump have it.
const stage = "backup"

// Times after which an object is looked at again: it is not watched, for a watch on a kind that a cluster does not have keeps the
// operator from starting. Where a person has to do something, minutes pass anyway.
const (
	pause      = 5 * time.Second
	pauseStuck = 30 * time.Second
)

// heed is how long others have to begin. CloudNativePG looks again after half a minute, the snapshot controller at once.
const heed = time.Minute

// Source is what a backup is asked of, and how.
type Source struct {
	Method v1alpha1.BackupMethod
	// Of names the Cluster, or the PersistentVolumeClaim.
	Of string
	// Way is the method of a Backup, or the name of the plugin that makes it, which has a dot; empty for that of CloudNativePG.
	Way string
	// Class of a VolumeSnapshot, empty for that of the cluster.
	Class string
}

// Kind of the object that stands for the backup.
func (s Source) Kind() schema.GroupVersionKind {
	if s.Method == v1alpha1.BackupVolumeSnapshot {
		return schema.GroupVersionKind{Group: "snapshot.storage.k8s.io", Version: "v1", Kind: "VolumeSnapshot"}
	}
	return schema.GroupVersionKind{Group: "postgresql.cnpg.io", Version: "v1", Kind: "Backup"}
}

// spec of the object.
func (s Source) spec() map[string]any {
	if s.Method == v1alpha1.BackupVolumeSnapshot {
		out := map[string]any{"source": map[string]any{"persistentVolumeClaimName": s.Of}}
		if s.Class != "" {
			out["volumeSnapshotClassName"] = s.Class
		}
		return out
	}
	out := map[string]any{"cluster": map[string]any{"name": s.Of}}
	switch {
	case strings.Contains(s.Way, "."):
		out["method"], out["pluginConfiguration"] = "plugin", map[string]any{"name": s.Way}
	case s.Way != "":
		out["method"] = s.Way
	}
	return out
}

// sourceOf is what an object was made of.
func (s Source) sourceOf(object *unstructured.Unstructured) string {
	path := []string{"spec", "cluster", "name"}
	if s.Method == v1alpha1.BackupVolumeSnapshot {
		path = []string{"spec", "source", "persistentVolumeClaimName"}
	}
	return text(object, path...)
}

// Request is one backup. Two that are equal are the same, also when two operators ask.
type Request struct {
	Source
	Owner     ownership.Owner
	Namespace string
	// Release is the one before whose migrations it is made, and Before says which: those of phase expand or contract.
	Release, Before string
	// Since is when the attempt began that it is for: what was made for an earlier one counts no more.
	Since time.Time
	// Retain is how many of the source are kept, this one included.
	Retain int32
}

// Object is what stands for the backup, to be created: never to be applied, which would take over what belongs to somebody else.
// Its name is short, because CloudNativePG makes labels and the names of snapshots from it.
func (r Request) Object() (*unstructured.Unstructured, error) {
	hash, err := manifest.Hash([]any{r.Source, r.Owner, r.Release, r.Before, r.Since.Unix()})
	if err != nil {
		return nil, err
	}
	out := &unstructured.Unstructured{Object: map[string]any{"spec": r.spec()}}
	out.SetGroupVersionKind(r.Kind())
	out.SetNamespace(r.Namespace)
	out.SetName(r.Owner.Microservice.Name + "-backup-" + hash)
	labels := r.Owner.Labels(ownership.ComponentMigration)
	labels[v1alpha1.LabelStage] = stage
	out.SetLabels(labels)
	out.SetAnnotations(map[string]string{v1alpha1.AnnotationRelease: r.Release})
	return out, nil
}

// Labels are those by which the backups of the environment are found.
func (r Request) Labels() map[string]string {
	labels := r.Owner.Selector(ownership.ComponentMigration)
	labels[ownership.LabelManagedBy] = ownership.ManagedBy
	labels[v1alpha1.LabelStage] = stage
	return labels
}

// snapshots are what a Backup by that method of CloudNativePG consists of, and what stays when it is deleted.
const snapshots = "volumeSnapshot"

// Snapshots are the kind and the labels of those that an earlier Backup of the same name may have left; ok is false where there are none.
// CloudNativePG takes them for the new Backup's own, whatever they hold: one that failed fails again, and one that succeeded is older than
// what it is made for.
func (r Request) Snapshots(object *unstructured.Unstructured) (kind schema.GroupVersionKind, labels map[string]string, ok bool) {
	if r.Method != v1alpha1.BackupCloudNativePG || r.Way != snapshots {
		return schema.GroupVersionKind{}, nil, false
	}
	return Source{Method: v1alpha1.BackupVolumeSnapshot}.Kind(), map[string]string{labelBackup: object.GetName()}, true
}

// labelBackup is what CloudNativePG puts on a VolumeSnapshot: the name of the Backup that it belongs to.
const labelBackup = "cnpg.io/backupName"

// Observed is what there is of a request.
type Observed struct {
	// Left says that, without a Live object, there are Snapshots of an earlier one of its name.
	Left bool
	// Live is the object of the request's name, nil if there is none. Refusal says why it could not be read, or is nil.
	Live    *unstructured.Unstructured
	Refusal error
	// Name of the object, whether it is there or not.
	Name string
	// All are the objects with the request's Labels; looked up when Live is complete.
	All []unstructured.Unstructured
	Now time.Time
}

// Decision is what to do next about a request.
type Decision struct {
	// Found is set when the backup is complete, and no more are there than are retained. Nothing else is set then.
	Found *v1alpha1.BackupEvidence
	// Create the object now.
	Create bool
	// Delete are objects beyond those retained.
	Delete []unstructured.Unstructured
	// Waiting says what for, and Next when to look again.
	Waiting *v1alpha1.WaitingFor
	Next    time.Time
	// Stuck: a person has to mend something. It is looked at again all the same.
	Stuck bool
}

// Decide says what to do about a request.
//
//	not readable          -> a person installs what is missing, or grants the right
//	no object             -> create it, unless snapshots of an earlier one are left: a person removes those
//	somebody else's       -> a person removes it; it is neither used nor changed
//	under way             -> wait; if nobody has begun it for a while, a person looks why
//	failed                -> a person mends what it says, and deletes it: then it is made again
//	complete              -> remove what is beyond those retained, then done
func (r Request) Decide(observed Observed) Decision {
	live := observed.Live
	switch {
	case observed.Refusal != nil:
		return r.stuck(observed.Now, *Refusal(r.Source, observed.Refusal))
	case live == nil && observed.Left:
		waiting := r.waiting("is not asked for again: CloudNativePG would take what is left of the earlier one for it")
		waiting.Unblock = "remove that: " + r.removal(observed.Name)
		return r.stuck(observed.Now, *waiting)
	case live == nil:
		return Decision{Create: true, Waiting: r.waiting("is asked for"), Next: observed.Now.Add(pause)}
	case !r.owns(live):
		return r.stuck(observed.Now, v1alpha1.WaitingFor{
			Type:    v1alpha1.WaitNameConflict,
			Message: fmt.Sprintf("%s %s exists in namespace %s and was not made for this environment", r.Kind().Kind, live.GetName(), r.Namespace),
			Unblock: "remove it: " + r.command("delete", live),
		})
	case live.GetDeletionTimestamp() != nil:
		return Decision{Waiting: r.waiting("is being removed, and is made again then"), Next: observed.Now.Add(pause)}
	}
	seen := r.read(live, observed.Now)
	switch {
	case seen.failed != "" && !seen.retried:
		waiting := r.waiting("has failed: " + seen.failed)
		waiting.Unblock = "mend what it names, then have it made again: " + r.deletion(live)
		return r.stuck(observed.Now, *waiting)
	case seen.found == nil:
		return r.underWay(live, seen, observed.Now)
	}
	if surplus := r.surplus(live, observed.All, observed.Now); len(surplus) > 0 {
		return Decision{Delete: surplus, Waiting: r.waiting("is complete, and older ones are removed"), Next: observed.Now.Add(pause)}
	}
	return Decision{Found: seen.found}
}

// underWay waits for an object that may still become complete by itself. At first that concerns nobody: others fail, too, because two of
// them write at once. What keeps others from beginning is told by events alone, which nobody here may read; a person is told where they are.
func (r Request) underWay(live *unstructured.Unstructured, seen status, now time.Time) Decision {
	d := Decision{Waiting: r.waiting(cmp.Or(seen.progress, "has failed, and is tried again: "+seen.failed)), Next: now.Add(pause)}
	if now.Sub(live.GetCreationTimestamp().Time) < heed {
		return d
	}
	switch {
	case seen.retried:
		d.Waiting.Unblock = "mend what it names; to have it made again at once: " + r.deletion(live)
		return r.stuck(now, *d.Waiting)
	case seen.unseen:
		d.Waiting.Unblock = "see that the controller that makes it is running; its events may tell more: " + r.command("describe", live)
		return r.stuck(now, *d.Waiting)
	case seen.held:
		d.Waiting.Unblock = "its events tell what it waits for: " + r.command("describe", live)
	}
	return d
}

// Completed reports whether an object is the request's own and its backup complete, so that All has to be looked up.
func (r Request) Completed(live *unstructured.Unstructured) bool {
	return r.owns(live) && live.GetDeletionTimestamp() == nil && r.read(live, time.Time{}).found != nil
}

// stuck waits for a person.
func (r Request) stuck(now time.Time, waiting v1alpha1.WaitingFor) Decision {
	return Decision{Waiting: &waiting, Stuck: true, Next: now.Add(pauseStuck)}
}

// waiting tells how far it has come.
func (r Request) waiting(how string) *v1alpha1.WaitingFor {
	of := "the Backup of Cluster "
	if r.Method == v1alpha1.BackupVolumeSnapshot {
		of = "the VolumeSnapshot of PersistentVolumeClaim "
	}
	return &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: of + r.Of + " " + how}
}

// deletion is the command that removes an object, and what of it would spoil the next one.
func (r Request) deletion(live *unstructured.Unstructured) string {
	out := r.command("delete", live)
	if _, _, some := r.Snapshots(live); some {
		out += " && " + r.removal(live.GetName())
	}
	return out
}

// removal is the command that removes the snapshots of a Backup.
func (r Request) removal(name string) string {
	return fmt.Sprintf("kubectl delete volumesnapshots.snapshot.storage.k8s.io --namespace %s --selector %s=%s", r.Namespace, labelBackup, name)
}

// command is what to do with an object; the group is spelled out, as other products have a kind Backup too.
func (r Request) command(verb string, live *unstructured.Unstructured) string {
	resource := map[v1alpha1.BackupMethod]string{
		v1alpha1.BackupCloudNativePG: "backups", v1alpha1.BackupVolumeSnapshot: "volumesnapshots",
	}[r.Method]
	return fmt.Sprintf("kubectl %s %s.%s --namespace %s %s", verb, resource, r.Kind().Group, r.Namespace, live.GetName())
}

// owns reports whether an object was made by the operator for this environment.
func (r Request) owns(object *unstructured.Unstructured) bool {
	owner, ok := ownership.Of(object)
	return ok && owner == r.Owner && object.GetLabels()[v1alpha1.LabelStage] == stage
}

// surplus are the objects that give way to one that is complete: of the same source, the oldest complete ones beyond Retain, and of any
// source, since its name may have been wrong, those before it that have failed. One that is under way is left alone.
func (r Request) surplus(kept *unstructured.Unstructured, all []unstructured.Unstructured, now time.Time) []unstructured.Unstructured {
	var complete, out []unstructured.Unstructured
	for _, object := range all {
		other := object.GetName() != kept.GetName() && r.owns(&object)
		if !other || object.GetDeletionTimestamp() != nil {
			continue
		}
		switch seen := r.read(&object, now); {
		case seen.found != nil && r.sourceOf(&object) == r.Of:
			complete = append(complete, object)
		case seen.failed != "" && object.GetCreationTimestamp().Time.Before(kept.GetCreationTimestamp().Time):
			out = append(out, object)
		}
	}
	slices.SortFunc(complete, func(a, b unstructured.Unstructured) int {
		return cmp.Or(b.GetCreationTimestamp().Compare(a.GetCreationTimestamp().Time), cmp.Compare(a.GetName(), b.GetName()))
	})
	others := int(max(r.Retain, 1)) - 1
	return append(out, complete[min(len(complete), others):]...)
}
