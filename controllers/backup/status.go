package backup

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// maxMessage bounds what is quoted of others, in bytes.
const maxMessage = 400

// status is what an object says. Of failed and found at most one is set; if neither is, progress says how far it has come.
type status struct {
	failed, progress string
	found            *v1alpha1.BackupEvidence
	// retried: the other controller tries again by itself after what has failed.
	retried bool
	// unseen: nobody has written anything about the object. held: it was not begun, for a reason that its status does not tell.
	unseen, held bool
}

func (r Request) read(live *unstructured.Unstructured, now time.Time) status {
	if r.Method == v1alpha1.BackupVolumeSnapshot {
		return r.readSnapshot(live, now)
	}
	return r.readBackup(live)
}

// badPhases are those of a Backup that need a person. Some of them end by themselves, when the archive works again: they are looked at
// again like the others.
var badPhases = map[string]string{
	"failed":                    "it gives no reason",
	"walArchivingFailing":       "the write-ahead log is not archived",
	"invalid backup definition": "CloudNativePG does not accept it",
}

// readBackup reads a Backup of CloudNativePG. Only completed is complete: finalizing is taken and not ready to be used, and a phase
// that is not known here is not taken for either.
func (r Request) readBackup(live *unstructured.Unstructured) status {
	phase, message := text(live, "status", "phase"), text(live, "status", "error")
	if usual, bad := badPhases[phase]; bad {
		return status{failed: quote(cmp.Or(message, text(live, "status", "commandError"), usual))}
	}
	switch phase {
	case "completed":
		started := timeAt(live, live.GetCreationTimestamp(), "status", "startedAt")
		out := r.evidence(live, started, timeAt(live, started, "status", "stoppedAt"))
		out.LSN = quote(text(live, "status", "endLSN"))
		return status{found: out}
	case "":
		return status{progress: "was not begun by CloudNativePG yet", unseen: true}
	case "pending":
		return status{progress: "waits for its turn: another one is under way, or the Cluster is missing or not ready", held: true}
	}
	return status{progress: "is at work: " + quote(phase)}
}

// readSnapshot reads a VolumeSnapshot. None fails for good: the snapshot controller and the driver try again by themselves, more and
// more seldom, and take the error away once they succeed.
func (r Request) readSnapshot(live *unstructured.Unstructured, now time.Time) status {
	if _, bad, _ := unstructured.NestedMap(live.Object, "status", "error"); bad {
		return status{failed: quote(cmp.Or(text(live, "status", "error", "message"), "it gives no reason")), retried: true}
	}
	_, seen, _ := unstructured.NestedMap(live.Object, "status")
	_, taken, _ := unstructured.NestedString(live.Object, "status", "creationTime")
	ready, _, _ := unstructured.NestedBool(live.Object, "status", "readyToUse")
	switch {
	case !seen:
		return status{progress: "was not begun by the snapshot controller yet", unseen: true}
	case !ready && !taken:
		return status{progress: "was not taken by the driver of the volume yet", held: true}
	case !ready:
		return status{progress: "was taken, and is not ready yet"}
	}
	started := timeAt(live, live.GetCreationTimestamp(), "status", "creationTime")
	if now.Before(started.Time) {
		now = started.Time // by the clock of the storage, which may be ahead
	}
	out := r.evidence(live, started, metav1.Time{Time: now})
	if size, err := resource.ParseQuantity(text(live, "status", "restoreSize")); err == nil {
		out.Size = size.Value()
	}
	return status{found: out}
}

// evidence has whole seconds, as statuses keep them.
func (r Request) evidence(live *unstructured.Unstructured, started, finished metav1.Time) *v1alpha1.BackupEvidence {
	return &v1alpha1.BackupEvidence{
		Name: live.GetName(), Method: r.Method, Source: r.Of, StartedAt: started.Rfc3339Copy(), FinishedAt: finished.Rfc3339Copy(),
	}
}

// text is a field of an object, empty if it is not there or no text.
func text(live *unstructured.Unstructured, path ...string) string {
	out, _, _ := unstructured.NestedString(live.Object, path...)
	return out
}

// timeAt is a field that holds a time, or else the fallback.
func timeAt(live *unstructured.Unstructured, fallback metav1.Time, path ...string) metav1.Time {
	if at, err := time.Parse(time.RFC3339, text(live, path...)); err == nil {
		return metav1.Time{Time: at}
	}
	return fallback
}

func quote(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

// Hindrance returns what to tell while the object cannot be created and time may mend it by itself: an admission webhook of the other
// controller does not answer. nil for other errors.
func Hindrance(r Request, err error) *v1alpha1.WaitingFor {
	var hindered apierrors.APIStatus
	if !apierrors.IsInternalError(err) || !errors.As(err, &hindered) {
		return nil
	}
	waiting := r.waiting("cannot be asked for, and is tried again: " + quote(hindered.Status().Message))
	waiting.Unblock = "see that what makes backups is running, where this does not end by itself"
	return waiting
}

// Refusal returns what a person has to mend if reading or creating the object has led to an error; nil for errors that time may mend.
func Refusal(s Source, err error) *v1alpha1.WaitingFor {
	kind := s.Kind()
	// Without a body of its own the answer is about the resource, and not about a missing object or namespace.
	unknown := apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
	if meta.IsNoMatchError(err) || unknown {
		missing := map[v1alpha1.BackupMethod]string{
			v1alpha1.BackupCloudNativePG:  "CloudNativePG",
			v1alpha1.BackupVolumeSnapshot: "the CRDs and the controller of external-snapshotter",
		}[s.Method]
		return &v1alpha1.WaitingFor{
			Type:    v1alpha1.WaitBackup,
			Message: fmt.Sprintf("the cluster does not know %s of %s", kind.Kind, kind.GroupVersion()),
			Unblock: "install " + missing + ", or choose another way in database.backup",
		}
	}
	var refused apierrors.APIStatus
	if (apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)) && errors.As(err, &refused) {
		return &v1alpha1.WaitingFor{
			Type:    v1alpha1.WaitBackup,
			Message: fmt.Sprintf("the API server refuses the %s: %s", kind.Kind, quote(refused.Status().Message)),
			Unblock: "correct database.backup, or the rights of the operator",
		}
	}
	return nil
}
