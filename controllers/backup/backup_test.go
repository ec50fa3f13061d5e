package backup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// request is one of a kind, of which two are retained.
func request(method v1alpha1.BackupMethod) Request {
	return Request{
		Source:    Source{Method: method, Of: "pg"},
		Owner:     ownership.Owner{Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "production"},
		Namespace: "scores-production", Release: "scores-7", Before: "expand", Since: noon, Retain: 2,
	}
}

// object is what a request has created, minutes after noon, with what its controller says of it.
func object(t testing.TB, r Request, minutes int, status map[string]any) *unstructured.Unstructured {
	t.Helper()
	out, err := r.Object()
	if err != nil {
		t.Fatal(err)
	}
	out.SetCreationTimestamp(metav1.Time{Time: noon.Add(time.Duration(minutes) * time.Minute)})
	if status != nil {
		out.Object["status"] = status
	}
	return out
}

func TestWhatAnObjectSays(t *testing.T) {
	pg, snap := v1alpha1.BackupCloudNativePG, v1alpha1.BackupVolumeSnapshot
	for name, tc := range map[string]struct {
		method v1alpha1.BackupMethod
		status map[string]any
		// want is failed or progress, empty for complete.
		want  string
		stuck bool
	}{
		"nobody has looked at it":         {pg, nil, "was not begun by CloudNativePG yet", false},
		"pending":                         {pg, map[string]any{"phase": "pending"}, "or the Cluster is missing or not ready", false},
		"running":                         {pg, map[string]any{"phase": "running"}, "is at work: running", false},
		"finalizing is not complete":      {pg, map[string]any{"phase": "finalizing"}, "is at work: finalizing", false},
		"a phase of a later version":      {pg, map[string]any{"phase": "polishing"}, "is at work: polishing", false},
		"failed":                          {pg, map[string]any{"phase": "failed", "error": "disk full"}, "has failed: disk full", true},
		"failed, as a program says":       {pg, map[string]any{"phase": "failed", "commandError": "exit 4"}, "has failed: exit 4", true},
		"failed without a word":           {pg, map[string]any{"phase": "failed"}, "has failed: it gives no reason", true},
		"an archive that does not work":   {pg, map[string]any{"phase": "walArchivingFailing"}, "has failed: the write-ahead log is not archived", true},
		"one that is not accepted":        {pg, map[string]any{"phase": "invalid backup definition", "error": "no plugin"}, "has failed: no plugin", true},
		"completed":                       {pg, map[string]any{"phase": "completed"}, "", false},
		"a snapshot nobody has looked at": {snap, nil, "was not begun by the snapshot controller yet", false},
		"a snapshot nobody has taken":     {snap, map[string]any{"readyToUse": false}, "was not taken by the driver of the volume yet", false},
		"a snapshot that is taken":        {snap, map[string]any{"readyToUse": false, "creationTime": "2026-11-28T12:00:00Z"}, "was taken, and is not ready yet", false},
		"a snapshot with an error":        {snap, map[string]any{"readyToUse": false, "error": map[string]any{"message": "no class"}}, "has failed, and is tried again: no class", false},
		"ready, with an error":            {snap, map[string]any{"readyToUse": true, "error": map[string]any{"message": "gone"}}, "has failed, and is tried again: gone", false},
		"ready":                           {snap, map[string]any{"readyToUse": true}, "", false},
		"ready by a word is not ready":    {snap, map[string]any{"readyToUse": "true"}, "was not taken by the driver of the volume yet", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(tc.method)
			live := object(t, r, 0, tc.status)
			got := r.Decide(Observed{Live: live, Now: noon})
			if tc.want == "" {
				if got.Found == nil || got.Found.Method != tc.method || got.Found.Source != "pg" || got.Found.Name != live.GetName() || got.Waiting != nil {
					t.Fatalf("not complete: %+v", got)
				}
				return
			}
			if got.Found != nil || got.Create || got.Waiting == nil || !strings.HasSuffix(got.Waiting.Message, tc.want) || got.Stuck != tc.stuck {
				t.Errorf("decided %+v, waiting for %+v", got, got.Waiting)
			}
			if !got.Next.After(noon) || got.Waiting.Deadline != nil {
				t.Error("it has to be looked at again, without a time in the status that moves on")
			}
			if tc.stuck && !strings.Contains(got.Waiting.Unblock, live.GetName()) {
				t.Errorf("the way out is %q", got.Waiting.Unblock)
			}
		})
	}
}

func TestWhatDoesNotBeginIsLookedInto(t *testing.T) {
	pg, snap := v1alpha1.BackupCloudNativePG, v1alpha1.BackupVolumeSnapshot
	wrong := map[string]any{"error": map[string]any{"message": "no class"}}
	for name, tc := range map[string]struct {
		method v1alpha1.BackupMethod
		status map[string]any
		after  time.Duration
		// unblock is a part of the way out, empty for none.
		unblock string
		stuck   bool
	}{
		"nobody has looked at it":              {pg, nil, heed, "kubectl describe backups.postgresql.cnpg.io --namespace scores-production scores-backup-", true},
		"nobody has looked at it yet":          {pg, nil, heed - time.Second, "", false},
		"one that may wait for another one":    {pg, map[string]any{"phase": "pending"}, heed, "kubectl describe backups.postgresql.cnpg.io", false},
		"one that has waited for a moment":     {pg, map[string]any{"phase": "pending"}, heed - time.Second, "", false},
		"one that runs may run":                {pg, map[string]any{"phase": "running"}, 24 * time.Hour, "", false},
		"no snapshot controller":               {snap, nil, heed, "kubectl describe volumesnapshots.snapshot.storage.k8s.io", true},
		"no snapshotter of the driver":         {snap, map[string]any{"boundVolumeSnapshotContentName": "a", "readyToUse": false}, heed, "kubectl describe", false},
		"a snapshot that is taken":             {snap, map[string]any{"creationTime": "2026-11-28T12:00:00Z", "readyToUse": false}, 24 * time.Hour, "", false},
		"an error that a second try takes off": {snap, wrong, heed - time.Second, "", false},
		"an error that stays":                  {snap, wrong, heed, "kubectl delete volumesnapshots.snapshot.storage.k8s.io", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(tc.method)
			d := r.Decide(Observed{Live: object(t, r, 0, tc.status), Now: noon.Add(tc.after)})
			if d.Waiting == nil || d.Stuck != tc.stuck || !strings.Contains(d.Waiting.Unblock, tc.unblock) || (d.Waiting.Unblock == "") != (tc.unblock == "") {
				t.Errorf("decided %+v, waiting for %+v", d, d.Waiting)
			}
		})
	}
}

// CloudNativePG finds the snapshots of a Backup by its name, so that one which is made again would get those of the one before.
func TestSnapshotsThatAreLeftAreNotTakenForNewOnes(t *testing.T) {
	r := request(v1alpha1.BackupCloudNativePG)
	r.Way = "volumeSnapshot"
	live := object(t, r, 0, map[string]any{"phase": "failed", "error": "no class"})
	kind, labels, ok := r.Snapshots(live)
	if !ok || kind.Kind != "VolumeSnapshot" || labels["cnpg.io/backupName"] != live.GetName() {
		t.Fatalf("looks for %v with %v", kind, labels)
	}
	remove := "kubectl delete volumesnapshots.snapshot.storage.k8s.io --namespace scores-production --selector cnpg.io/backupName=" + live.GetName()
	if d := r.Decide(Observed{Live: live, Now: noon}); !strings.HasSuffix(d.Waiting.Unblock, live.GetName()+" && "+remove) {
		t.Errorf("after a failure: %s", d.Waiting.Unblock)
	}
	if d := r.Decide(Observed{Name: live.GetName(), Left: true, Now: noon}); d.Create || !d.Stuck || !strings.HasSuffix(d.Waiting.Unblock, remove) {
		t.Errorf("with snapshots left: %+v, %+v", d, d.Waiting)
	}
	for _, other := range []Request{request(v1alpha1.BackupCloudNativePG), request(v1alpha1.BackupVolumeSnapshot)} {
		if _, _, ok := other.Snapshots(live); ok {
			t.Errorf("%+v has none of its own", other.Source)
		}
	}
}

func TestAStorageWhoseClockIsAhead(t *testing.T) {
	r := request(v1alpha1.BackupVolumeSnapshot)
	d := r.Decide(Observed{Live: object(t, r, 0, map[string]any{"readyToUse": true, "creationTime": "2026-11-28T12:00:09Z"}), Now: noon})
	if d.Found == nil || d.Found.FinishedAt.Before(&d.Found.StartedAt) {
		t.Errorf("found %+v", d.Found)
	}
}

func TestHindrance(t *testing.T) {
	away := fmt.Errorf("creating: %w", apierrors.NewInternalError(errors.New("failed calling webhook: no endpoints")))
	if got := Hindrance(request(v1alpha1.BackupCloudNativePG), away); got == nil || !strings.Contains(got.Message, "no endpoints") || got.Unblock == "" {
		t.Errorf("says %+v", got)
	}
	if got := Hindrance(request(v1alpha1.BackupCloudNativePG), apierrors.NewServiceUnavailable("later")); got != nil {
		t.Errorf("the API server itself is away, and it says %+v", got)
	}
}

func TestEvidenceClaimsNoMoreThanIsKnown(t *testing.T) {
	at := func(text string) metav1.Time {
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return metav1.Time{Time: out}
	}
	for name, tc := range map[string]struct {
		method v1alpha1.BackupMethod
		status map[string]any
		want   v1alpha1.BackupEvidence
	}{
		"a Backup": {
			v1alpha1.BackupCloudNativePG,
			map[string]any{"phase": "completed", "startedAt": "2026-11-28T12:01:00Z", "stoppedAt": "2026-11-28T12:03:00Z", "endLSN": "0/5000100"},
			v1alpha1.BackupEvidence{StartedAt: at("2026-11-28T12:01:00Z"), FinishedAt: at("2026-11-28T12:03:00Z"), LSN: "0/5000100"},
		},
		"a Backup without times began when it was asked for": {
			v1alpha1.BackupCloudNativePG,
			map[string]any{"phase": "completed", "startedAt": "soon"},
			v1alpha1.BackupEvidence{StartedAt: at("2026-11-28T12:00:00Z"), FinishedAt: at("2026-11-28T12:00:00Z")},
		},
		"a VolumeSnapshot is finished when it is found ready": {
			v1alpha1.BackupVolumeSnapshot,
			map[string]any{"readyToUse": true, "creationTime": "2026-11-28T12:00:30Z", "restoreSize": "2Gi"},
			v1alpha1.BackupEvidence{StartedAt: at("2026-11-28T12:00:30Z"), FinishedAt: at("2026-11-28T12:05:00Z"), Size: 2 << 30},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(tc.method)
			live := object(t, r, 0, tc.status)
			tc.want.Name, tc.want.Method, tc.want.Source = live.GetName(), tc.method, "pg"
			got := r.Decide(Observed{Live: live, Now: noon.Add(5*time.Minute + 300*time.Millisecond)})
			if diff := cmp.Diff(&tc.want, got.Found); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	r := request(v1alpha1.BackupCloudNativePG)
	complete := map[string]any{"phase": "completed"}
	foreign := object(t, r, 0, complete)
	foreign.SetLabels(nil)
	elsewhere := r
	elsewhere.Owner.Environment = "staging"
	other := object(t, elsewhere, 0, complete)
	going := object(t, r, 0, complete)
	going.SetDeletionTimestamp(&metav1.Time{Time: noon})
	for name, tc := range map[string]struct {
		live    *unstructured.Unstructured
		refusal error
		want    string
	}{
		"there is none":               {nil, nil, "create Backup"},
		"it is somebody else's":       {foreign, nil, "NameConflict stuck"},
		"it is another environment's": {other, nil, "NameConflict stuck"},
		"it is being removed":         {going, nil, "Backup"},
		"its kind is not known":       {nil, &meta.NoKindMatchError{GroupKind: r.Kind().GroupKind()}, "Backup stuck"},
		"it is complete":              {object(t, r, 0, complete), nil, "found"},
	} {
		t.Run(name, func(t *testing.T) {
			d := r.Decide(Observed{Live: tc.live, Refusal: tc.refusal, Now: noon})
			var got []string
			if d.Create {
				got = append(got, "create")
			}
			if d.Waiting != nil {
				got = append(got, string(d.Waiting.Type))
			}
			if d.Stuck {
				got = append(got, "stuck")
			}
			if d.Found != nil {
				got = append(got, "found")
			}
			if text := strings.Join(got, " "); text != tc.want {
				t.Errorf("decided %q, want %q", text, tc.want)
			}
		})
	}
}

func TestSurplus(t *testing.T) {
	r := request(v1alpha1.BackupCloudNativePG)
	complete, failed, running := map[string]any{"phase": "completed"}, map[string]any{"phase": "failed"}, map[string]any{"phase": "running"}
	kept := object(t, r, 60, complete)
	named := func(name string, minutes int, status map[string]any, changes ...func(*unstructured.Unstructured)) unstructured.Unstructured {
		out := object(t, r, minutes, status)
		out.SetName(name)
		for _, change := range changes {
			change(out)
		}
		return *out
	}
	of := func(cluster string) func(*unstructured.Unstructured) {
		return func(u *unstructured.Unstructured) {
			u.Object["spec"] = map[string]any{"cluster": map[string]any{"name": cluster}}
		}
	}
	bare := func(u *unstructured.Unstructured) { u.SetLabels(nil) }
	going := func(u *unstructured.Unstructured) { u.SetDeletionTimestamp(&metav1.Time{Time: noon}) }
	for name, tc := range map[string]struct {
		retain int32
		others []unstructured.Unstructured
		want   string
	}{
		"as many as are retained":            {2, []unstructured.Unstructured{named("a", 10, complete)}, ""},
		"the oldest goes":                    {2, []unstructured.Unstructured{named("a", 20, complete), named("b", 10, complete), named("c", 30, complete)}, "a b"},
		"the new one always stays":           {1, []unstructured.Unstructured{named("a", 90, complete)}, "a"},
		"one that is under way stays":        {1, []unstructured.Unstructured{named("a", 10, running), named("b", 10, nil)}, ""},
		"one that failed before goes":        {5, []unstructured.Unstructured{named("a", 10, failed), named("b", 90, failed)}, "a"},
		"what failed is not counted":         {2, []unstructured.Unstructured{named("a", 90, failed), named("b", 10, complete)}, ""},
		"those of another Cluster stay":      {1, []unstructured.Unstructured{named("a", 10, complete, of("other"))}, ""},
		"one of a Cluster that is not there": {1, []unstructured.Unstructured{named("a", 10, failed, of("wrong"))}, "a"},
		"those of other people stay":         {1, []unstructured.Unstructured{named("a", 10, complete, bare)}, ""},
		"what is going is not counted":       {2, []unstructured.Unstructured{named("a", 30, complete, going), named("b", 10, complete)}, ""},
		"among equals the name decides":      {2, []unstructured.Unstructured{named("b", 10, complete), named("a", 10, complete)}, "b"},
		"a retain of nothing keeps the one":  {0, []unstructured.Unstructured{named("a", 10, complete)}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r
			r.Retain = tc.retain
			d := r.Decide(Observed{Live: kept, All: append(tc.others, *kept), Now: noon})
			var got []string
			for _, object := range d.Delete {
				got = append(got, object.GetName())
			}
			if text := strings.Join(got, " "); text != tc.want || (d.Found == nil) != (len(got) > 0) {
				t.Errorf("removes %q, want %q; found %v", text, tc.want, d.Found)
			}
		})
	}
}

func TestNamesFollowFromWhatIsAskedFor(t *testing.T) {
	name := func(change func(*Request)) string {
		r := request(v1alpha1.BackupCloudNativePG)
		r.Owner.Microservice.Name = strings.Repeat("s", 40) // as long as one may be
		change(&r)
		return object(t, r, 0, nil).GetName()
	}
	same := name(func(*Request) {})
	// CloudNativePG makes a label of it, and snapshots with -wal behind it.
	if problems := validation.IsValidLabelValue(same + "-wal"); len(problems) > 0 {
		t.Errorf("%s: %v", same, problems)
	}
	if again := name(func(r *Request) { r.Retain, r.Since = 9, r.Since.Add(time.Millisecond) }); again != same {
		t.Errorf("asked for twice it is %s and %s", same, again)
	}
	for what, change := range map[string]func(*Request){
		"release": func(r *Request) { r.Release = "scores-8" }, "purpose": func(r *Request) { r.Before = "contract" },
		"attempt": func(r *Request) { r.Since = r.Since.Add(time.Second) }, "environment": func(r *Request) { r.Owner.Environment = "staging" },
		"source": func(r *Request) { r.Of = "other" }, "method": func(r *Request) { r.Way = "volumeSnapshot" },
	} {
		if name(change) == same {
			t.Errorf("another %s has the same name", what)
		}
	}
}

func TestSpec(t *testing.T) {
	for name, tc := range map[string]struct {
		source Source
		want   map[string]any
	}{
		"CloudNativePG's own method": {Source{Method: v1alpha1.BackupCloudNativePG, Of: "pg"}, map[string]any{"cluster": map[string]any{"name": "pg"}}},
		"snapshots by CloudNativePG": {
			Source{Method: v1alpha1.BackupCloudNativePG, Of: "pg", Way: "volumeSnapshot"},
			map[string]any{"cluster": map[string]any{"name": "pg"}, "method": "volumeSnapshot"},
		},
		"a plugin": {
			Source{Method: v1alpha1.BackupCloudNativePG, Of: "pg", Way: "a.example.com"},
			map[string]any{"cluster": map[string]any{"name": "pg"}, "method": "plugin", "pluginConfiguration": map[string]any{"name": "a.example.com"}},
		},
		"a snapshot": {Source{Method: v1alpha1.BackupVolumeSnapshot, Of: "data"}, map[string]any{"source": map[string]any{"persistentVolumeClaimName": "data"}}},
		"a snapshot of a class": {
			Source{Method: v1alpha1.BackupVolumeSnapshot, Of: "data", Class: "fast"},
			map[string]any{"source": map[string]any{"persistentVolumeClaimName": "data"}, "volumeSnapshotClassName": "fast"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(tc.source.Method)
			r.Source = tc.source
			if diff := cmp.Diff(tc.want, object(t, r, 0, nil).Object["spec"]); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	backups := schema.GroupResource{Group: "postgresql.cnpg.io", Resource: "backups"}
	unserved := apierrors.NewGenericServerResponse(404, "get", backups, "a", "404 page not found", 0, true)
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"discovery does not know it":      {&meta.NoKindMatchError{}, "install CloudNativePG"},
		"the server does not":             {unserved, "install CloudNativePG"},
		"the object is not there":         {apierrors.NewNotFound(backups, "a"), ""},
		"a right is missing":              {fmt.Errorf("reading: %w", apierrors.NewForbidden(backups, "a", errors.New("no"))), "the rights of the operator"},
		"a webhook refuses it":            {apierrors.NewBadRequest("no plugin"), "correct database.backup"},
		"the server is away for a moment": {apierrors.NewServiceUnavailable("later"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Refusal(Source{Method: v1alpha1.BackupCloudNativePG}, tc.err)
			if (got == nil) != (tc.want == "") || got != nil && (!strings.Contains(got.Unblock, tc.want) || got.Type != v1alpha1.WaitBackup) {
				t.Errorf("says %+v, want %q", got, tc.want)
			}
		})
	}
}
