package change_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
)

func spec(changes ...func(*v1alpha1.MicroserviceSpec)) *v1alpha1.MicroserviceSpec {
	out := &v1alpha1.MicroserviceSpec{
		Image: "registry.example.com/scores:1.0.0",
		Environments: []v1alpha1.EnvironmentSpec{
			{Name: "staging", Namespace: "scores-staging"},
			{Name: "production", Namespace: "scores-production", Rollout: &v1alpha1.RolloutSpec{
				Steps:     []v1alpha1.RolloutStep{{Weight: 20, Hold: &metav1.Duration{Duration: time.Minute}}, {Weight: 50, Pause: true}},
				Approvals: 2,
				Soak:      &metav1.Duration{Duration: 10 * time.Minute},
			}},
		},
	}
	for _, change := range changes {
		change(out)
	}
	return out
}

func TestPlanTellsWhatEachEnvironmentGoesThrough(t *testing.T) {
	follows := "the environment before has verified it"
	production := []string{follows, "2 approvals", "20% for 1m0s", "50% until somebody resumes", "soak of 10m0s"}
	for name, tc := range map[string]struct {
		before, after *v1alpha1.MicroserviceSpec
		release       bool
		want          []change.EnvironmentPlan
	}{
		"nothing changed": {
			before: spec(), after: spec(),
			want: []change.EnvironmentPlan{{Name: "staging", Cost: change.CostNone}, {Name: "production", Cost: change.CostNone}},
		},
		"another image migrates everywhere": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) { s.Image = "registry.example.com/scores:1.1.0" }),
			release: true,
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostMigrate, Because: []string{"image"}},
				{Name: "production", Cost: change.CostMigrate, Because: []string{"image"}, Gates: production},
			},
		},
		"more pods are no release": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) { s.Workload.Replicas = new(int32(5)) }),
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostScale, Because: []string{"workload.replicas"}},
				{Name: "production", Cost: change.CostScale, Because: []string{"workload.replicas"}},
			},
		},
		"an override concerns its environment alone": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) {
				s.Environments[1].Overrides = &v1alpha1.EnvironmentOverrides{Workload: &v1alpha1.WorkloadSpec{PriorityClassName: new("high")}}
			}),
			release: true,
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostNone},
				{Name: "production", Cost: change.CostRestart, Because: []string{"environments[production].overrides.workload.priorityClassName"}, Gates: production},
			},
		},
		"files elsewhere replace the pods, in an environment too": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) {
				s.Storage = &v1alpha1.StorageSpec{FileSystem: &v1alpha1.FileSystemSpec{ClaimName: "files"}}
				s.Environments[1].Overrides = &v1alpha1.EnvironmentOverrides{Storage: &v1alpha1.StorageSpec{S3: &v1alpha1.S3Spec{Bucket: new("files")}}}
			}),
			release: true,
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostRestart, Because: []string{"storage.fileSystem.claimName"}},
				{
					Name: "production", Cost: change.CostRestart, Gates: production,
					Because: []string{"environments[production].overrides.storage.s3.bucket", "storage.fileSystem.claimName"},
				},
			},
		},
		"another policy for the network replaces the pods": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) { s.NetworkPolicy = &v1alpha1.NetworkPolicySpec{} }),
			release: true,
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostRestart, Because: []string{"networkPolicy"}},
				{Name: "production", Cost: change.CostRestart, Because: []string{"networkPolicy"}, Gates: production},
			},
		},
		"an Ingress is no release": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) {
				s.Traffic = &v1alpha1.TrafficSpec{Ingress: &v1alpha1.IngressSpec{ClassName: new("nginx")}}
				s.Environments[1].Hosts = []string{"scores.example.com"}
			}),
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostRoute, Because: []string{"traffic.ingress.className"}},
				{Name: "production", Cost: change.CostRoute, Because: []string{"environments[production].hosts", "traffic.ingress.className"}},
			},
		},
		"the way of a rollout is no release": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) { s.Environments[1].Rollout.Approvals = 0 }),
			want: []change.EnvironmentPlan{{Name: "staging", Cost: change.CostNone}, {Name: "production", Cost: change.CostNone}},
		},
		"an environment that goes is emptied": {
			before: spec(), after: spec(func(s *v1alpha1.MicroserviceSpec) { s.Environments = s.Environments[:1] }),
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostNone},
				{Name: "production", Cost: change.CostRemove, Because: []string{"environments[production]"}},
			},
		},
		"a first one is made everywhere": {
			before: nil, after: spec(), release: true,
			want: []change.EnvironmentPlan{
				{Name: "staging", Cost: change.CostMove, Because: []string{"environments[staging]"}},
				{Name: "production", Cost: change.CostMove, Because: []string{"environments[production]"}, Gates: production},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := change.PlanOf(tc.before, tc.after)
			if err != nil {
				t.Fatal(err)
			}
			if got.Release != tc.release {
				t.Errorf("a release is cut: %t, want %t", got.Release, tc.release)
			}
			if difference := cmp.Diff(tc.want, got.Environments); difference != "" {
				t.Error(difference)
			}
		})
	}
}

func TestFieldsAreComparedByNameAndPath(t *testing.T) {
	type object map[string]any
	for name, tc := range map[string]struct {
		from, to object
		want     []change.Change
	}{
		"a value":  {object{"a": 1.0}, object{"a": 2.0}, []change.Change{{Path: "a", From: 1.0, To: 2.0}}},
		"one more": {object{}, object{"a": object{"b": true}}, []change.Change{{Path: "a.b", To: true}}},
		"a member more": {
			object{"env": []object{{"name": "A"}}},
			object{"env": []object{{"name": "A"}, {"name": "B"}}},
			[]change.Change{{Path: "env[B]", To: map[string]any{"name": "B"}}},
		},
		"one less":     {object{"a": "x"}, object{}, []change.Change{{Path: "a", From: "x"}}},
		"deep below":   {object{"a": object{"b": "x"}}, object{"a": object{"b": "y"}}, []change.Change{{Path: "a.b", From: "x", To: "y"}}},
		"an empty one": {object{}, object{"a": object{}}, []change.Change{{Path: "a", To: map[string]any{}}}},
		"ignored":      {object{"number": 1.0}, object{"number": 2.0}, nil},
		"a plain list": {object{"a": []any{"x"}}, object{"a": []any{"y"}}, []change.Change{{Path: "a", From: []any{"x"}, To: []any{"y"}}}},
		"a named member": {
			object{"env": []object{{"name": "A", "value": "1"}, {"name": "B", "value": "2"}}},
			object{"env": []object{{"name": "B", "value": "3"}, {"name": "A", "value": "1"}}},
			[]change.Change{{Path: "env[B].value", From: "2", To: "3"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := change.Between(tc.from, tc.to, "number")
			if err != nil {
				t.Fatal(err)
			}
			if difference := cmp.Diff(tc.want, got); difference != "" {
				t.Error(difference)
			}
		})
	}
}
