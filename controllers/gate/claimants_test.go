package gate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

// at is a Microservice whose only environment is at a step.
func at(name string, step v1alpha1.Step) *v1alpha1.Microservice {
	return &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: name},
		Status:     v1alpha1.MicroserviceStatus{Environments: []v1alpha1.EnvironmentStatus{{Name: "production", Step: step}}},
	}
}

func TestClaimantsNoticeWhenARolloutEnds(t *testing.T) {
	deleted := at("a", v1alpha1.StepCanary)
	deleted.DeletionTimestamp = &metav1.Time{Time: noon}
	for name, tc := range map[string]struct {
		before, now *v1alpha1.Microservice
		want        bool
	}{
		"one that nobody knew":         {nil, at("a", v1alpha1.StepCanary), false},
		"the next step of the same":    {at("a", v1alpha1.StepCanary), at("a", v1alpha1.StepPromote), false},
		"it soaks":                     {at("a", v1alpha1.StepPromote), at("a", v1alpha1.StepSoak), true},
		"it is deleted":                {at("a", v1alpha1.StepCanary), deleted, true},
		"it had ended before":          {at("a", v1alpha1.StepSoak), at("a", v1alpha1.StepVerified), false},
		"the one of somebody else":     {at("b", v1alpha1.StepCanary), at("a", v1alpha1.StepSoak), false},
		"it begins":                    {at("a", v1alpha1.StepVerified), at("a", v1alpha1.StepCanary), false},
		"a status without environment": {at("a", v1alpha1.StepCanary), &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: "a"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := gate.NewClaimants()
			if tc.before != nil {
				c.See(tc.before)
			}
			if got := c.See(tc.now); got != tc.want {
				t.Errorf("it has ended: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestClaimantsKnowAll(t *testing.T) {
	c := gate.NewClaimants()
	for _, ms := range []*v1alpha1.Microservice{at("a", v1alpha1.StepCanary), at("b", v1alpha1.StepPromote), at("c", v1alpha1.StepVerified)} {
		c.See(ms)
	}
	sorted := cmpopts.SortSlices(func(a, b gate.Claim) bool { return a.Microservice.Name < b.Microservice.Name })
	if diff := cmp.Diff([]gate.Claim{begun("a"), begun("b")}, c.All(), sorted); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]gate.Claim{begun("a")}, c.With(at("b", v1alpha1.StepVerified)), sorted); diff != "" {
		t.Error("what it says of itself counts:", diff)
	}
	if !c.Forget(types.NamespacedName{Namespace: "music", Name: "a"}) {
		t.Error("that it is gone ends no rollout")
	}
	if c.Forget(types.NamespacedName{Namespace: "music", Name: "a"}) {
		t.Error("it has ended twice")
	}
	if diff := cmp.Diff([]gate.Claim{begun("b")}, c.All()); diff != "" {
		t.Error(diff)
	}
}
