package v1alpha1_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestTheServerFillsInNothingButTheStatus(t *testing.T) {
	created := object(t, map[string]any{"metadata.name": "defaults"})
	if err := server.Create(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	got := &v1alpha1.Microservice{}
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(created), got); err != nil {
		t.Fatal(err)
	}
	// kubectl wait and kstatus tell an object that nobody has looked at yet from one that is done by this.
	if diff := cmp.Diff(v1alpha1.MicroserviceStatus{ObservedGeneration: -1}, got.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	// A default in an override would hide the value that it overrides, and one in the spec would show up as a difference to
	// what a user keeps in a repository.
	want := v1alpha1.MicroserviceSpec{
		Image:        "registry.example.com/scores:1.4.0",
		Environments: []v1alpha1.EnvironmentSpec{{Name: "staging", Namespace: "scores-staging"}},
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestTheStatusIsWrittenByItself(t *testing.T) {
	ms := &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Name: "status", Namespace: "default"},
		Spec: v1alpha1.MicroserviceSpec{
			Image:        "registry.example.com/scores:1.4.0",
			Environments: []v1alpha1.EnvironmentSpec{{Name: "staging", Namespace: "scores-staging"}},
		},
	}
	if err := server.Create(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	version := int64(7)
	want := v1alpha1.MicroserviceStatus{
		ObservedGeneration: 1, Summary: "1.4.0: staging migrating", Release: "1.4.0-abc",
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing,
			LastTransitionTime: metav1.Now().Rfc3339Copy(), ObservedGeneration: 1,
		}},
		Environments: []v1alpha1.EnvironmentStatus{{
			Name: "staging", Namespace: "scores-staging", Step: v1alpha1.StepExpand, SchemaVersion: &version, Replicas: 2,
			WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: "the migrations are running", Since: metav1.Now().Rfc3339Copy()},
		}},
	}
	ms.Status = want
	ms.Spec.Image = "ignored:1"
	if err := server.Status().Update(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	got := &v1alpha1.Microservice{}
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(ms), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got.Spec.Image != "registry.example.com/scores:1.4.0" || got.Generation != 1 {
		t.Errorf("writing the status changed the spec: image %s, generation %d", got.Spec.Image, got.Generation)
	}
}

// docs/design/0028-size-of-the-schema.md says where the bound comes from.
func TestEveryCRDIsBelow82KB(t *testing.T) {
	const limit = 82 << 10
	files, err := filepath.Glob(filepath.Join(crdDirectory, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs in %s (%v)", crdDirectory, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= limit {
			t.Errorf("%s has %d bytes, the limit is %d", filepath.Base(file), info.Size(), limit)
		}
	}
}
