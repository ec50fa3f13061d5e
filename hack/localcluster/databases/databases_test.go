package databases

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/postgres"
)

func TestConnections(t *testing.T) {
	got := connections([]postgres.Database{{
		Name:  "scores_staging",
		Owner: postgres.Account{Name: "scores_staging_owner", Password: "a"},
		App:   postgres.Account{Name: "scores_staging_app", Password: "b/c"},
	}})
	want := []Connection{{
		Environment: "staging",
		OwnerURL:    "postgres://scores_staging_owner:a@postgres.databases.svc:5432/scores_staging?sslmode=disable",
		AppURL:      "postgres://scores_staging_app:b%2Fc@postgres.databases.svc:5432/scores_staging?sslmode=disable",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryAccountHasItsOwnPassword(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		for _, d := range newDatabases() {
			for _, account := range []postgres.Account{d.Owner, d.App} {
				if len(account.Password) < 20 || seen[account.Password] {
					t.Errorf("password %q of %s is short or used twice", account.Password, account.Name)
				}
				seen[account.Password] = true
			}
		}
	}
	if want := 2 * 2 * len(environments); len(seen) != want {
		t.Errorf("%d passwords, want %d", len(seen), want)
	}
}

func TestObjects(t *testing.T) {
	rendered, err := objects(archive.Identity{Name: "localhost/mirubato/postgres:15", Digest: "sha256:01"})
	if err != nil {
		t.Fatal(err)
	}
	if rendered[0].GetKind() != "Namespace" {
		t.Errorf("first comes a %s, want the namespace", rendered[0].GetKind())
	}
	var set *unstructured.Unstructured
	for _, object := range rendered {
		if object.GetKind() == "StatefulSet" {
			set = object
		}
	}
	containers, _, err := unstructured.NestedSlice(set.Object, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	arguments, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	if err != nil {
		t.Fatal(err)
	}
	want := append(postgres.ServerArguments(), "-c", "shared_buffers=64MB", "-c", "max_connections=400")
	if diff := cmp.Diff(want, arguments); diff != "" {
		t.Errorf("arguments of the server (-want +got):\n%s", diff)
	}
}

func TestOnlyABrokenPodOfAnEarlierRevisionIsStuck(t *testing.T) {
	set := appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Status:     appsv1.StatefulSetStatus{ObservedGeneration: 2, UpdateRevision: "new"},
	}
	unseen := *set.DeepCopy()
	unseen.Generation = 3
	for name, tc := range map[string]struct {
		set  appsv1.StatefulSet
		pod  corev1.Pod
		want bool
	}{
		"broken and of an earlier revision":     {set: set, pod: pod("old", corev1.ConditionFalse), want: true},
		"ready and of an earlier revision":      {set: set, pod: pod("old", corev1.ConditionTrue)},
		"broken and of the present revision":    {set: set, pod: pod("new", corev1.ConditionFalse)},
		"the present revision is not known yet": {set: unseen, pod: pod("old", corev1.ConditionFalse)},
		"ready and of the present revision":     {set: set, pod: pod("new", corev1.ConditionTrue)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isStuck(tc.set, tc.pod); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func pod(revision string, ready corev1.ConditionStatus) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: revision}},
		Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

func TestWriteIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "databases.json")
	want := connections(newDatabases())
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want only the owner to read it", info.Mode())
	}
	encoded, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []Connection
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := url.Parse(got[0].AppURL); err != nil {
		t.Errorf("the URL is none: %v", err)
	}
}
