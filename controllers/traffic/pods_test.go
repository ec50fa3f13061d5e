package traffic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

var staging = ownership.Owner{Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "staging"}

// content is what the canary of the tests runs.
const content = "3f2a9c01de"

// pod makes one as the letters after its name say: r is ready, s is in service, t is being removed, o runs another content.
func pod(component ownership.Component, name, letters string) corev1.Pod {
	out := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: staging.Labels(component)}}
	out.Labels[v1alpha1.LabelContent] = content
	for _, letter := range letters {
		switch letter {
		case 'r':
			out.Status.Conditions = append(out.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
		case 's':
			out.Labels[v1alpha1.LabelServing] = ownership.Serving
		case 't':
			out.DeletionTimestamp = &metav1.Time{}
		case 'o':
			out.Labels[v1alpha1.LabelContent] = "another"
		}
	}
	return out
}

// podsOf makes pods s0, s1... and c0, c1... from their letters.
func podsOf(stable, canary []string) Pods {
	var pods []corev1.Pod
	for i, letters := range stable {
		pods = append(pods, pod(ownership.ComponentAPI, fmt.Sprintf("s%d", i), letters))
	}
	for i, letters := range canary {
		pods = append(pods, pod(ownership.ComponentCanary, fmt.Sprintf("c%d", i), letters))
	}
	pods = append(pods, pod(ownership.ComponentMigration, "m0", "r"))
	return PodsOf(pods, content)
}

func names(pods []corev1.Pod) []string {
	out := []string{}
	for _, pod := range pods {
		out = append(out, pod.Name)
	}
	slices.Sort(out)
	return out
}

func TestLabelsFor(t *testing.T) {
	for name, tc := range map[string]struct {
		weight         int32
		stable, canary []string
		add, remove    []string
	}{
		"nothing to do at weight 0":                            {0, []string{"rs", "rs"}, []string{"r"}, nil, nil},
		"at weight 0 no canary pod keeps the label":            {0, []string{"rs"}, []string{"rs", "s", "rso"}, nil, []string{"c0", "c1", "c2"}},
		"at weight 0 every stable pod has it, ready or not":    {0, []string{"r", ""}, nil, []string{"s0", "s1"}, nil},
		"20 percent beside 2 pods is one of three":             {20, []string{"rs", "rs"}, []string{"r"}, []string{"c0"}, nil},
		"a pod that is not ready is not chosen":                {20, []string{"rs", "rs"}, []string{"", "r"}, []string{"c1"}, nil},
		"a pod that is no longer ready makes room":             {20, []string{"rs", "rs"}, []string{"s", "r"}, []string{"c1"}, []string{"c0"}},
		"a pod that is leaving is left alone":                  {20, []string{"rs", "rs"}, []string{"rst", "r"}, []string{"c1"}, nil},
		"a pod of another content is taken out":                {20, []string{"rs", "rs"}, []string{"rso", "r"}, []string{"c1"}, []string{"c0"}},
		"what is in service stays":                             {20, []string{"rs", "rs"}, []string{"r", "rs", "r"}, nil, nil},
		"one too many: the last by name leaves":                {20, []string{"rs", "rs"}, []string{"rs", "rs"}, nil, []string{"c1"}},
		"fewer stable pods, fewer canary pods":                 {50, []string{"rs", "s"}, []string{"rs", "rs"}, nil, []string{"c1"}},
		"as far as there are pods":                             {50, []string{"rs", "rs", "rs"}, []string{"r"}, []string{"c0"}, nil},
		"without a ready stable pod one canary pod serves":     {20, []string{"s", "s"}, []string{"r", "r"}, []string{"c0"}, nil},
		"above 50 stable pods make room":                       {80, []string{"rs", "rs", "rs", "rs"}, []string{"r", "r", "r", "r"}, []string{"c0", "c1", "c2", "c3"}, []string{"s1", "s2", "s3"}},
		"but not before there are others in their place":       {80, []string{"rs", "rs", "rs", "rs"}, []string{"r", "", "", ""}, []string{"c0"}, []string{"s3"}},
		"and the last one stays":                               {99, []string{"rs", "rs"}, []string{"rs", "rs"}, nil, []string{"s1"}},
		"a stable pod that starts meanwhile is left alone":     {80, []string{"rs", "s", "r"}, []string{"rs", "rs"}, nil, nil},
		"back at 50 all stable pods serve":                     {50, []string{"rs", "r", ""}, []string{"rs", "rs"}, []string{"s1", "s2"}, nil},
		"at 100 labels are as at 0: the Service looks at none": {100, []string{"r", "rs"}, []string{"rs", "r"}, []string{"s0"}, []string{"c0"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := LabelsFor(tc.weight, podsOf(tc.stable, tc.canary))
			want := [][]string{append([]string{}, tc.add...), append([]string{}, tc.remove...)}
			if diff := cmp.Diff(want, [][]string{names(got.Add), names(got.Remove)}); diff != "" {
				t.Errorf("add, remove (-want +got):\n%s", diff)
			}
			if got.Empty() != (len(tc.add)+len(tc.remove) == 0) {
				t.Errorf("empty = %t", got.Empty())
			}
		})
	}
}

func TestWeight(t *testing.T) {
	serving := staging.ServingSelector()
	for name, tc := range map[string]struct {
		asked          int32
		selector       map[string]string
		stable, canary []string
		want           int32
	}{
		"a Service of the stable pods":                        {20, Selector(staging, 0), []string{"rs"}, []string{"rs"}, 0},
		"a Service of the canary":                             {20, Selector(staging, 100), []string{"rs"}, []string{"r"}, 100},
		"no Service":                                          {20, nil, []string{"rs"}, []string{"rs"}, 0},
		"no canary pod in service":                            {20, serving, []string{"rs"}, []string{"r"}, 0},
		"as asked, though rounded up":                         {20, serving, []string{"rs", "rs"}, []string{"rs"}, 20},
		"more than asked":                                     {20, serving, []string{"rs", "rs"}, []string{"rs", "rs"}, 50},
		"less than asked for want of pods":                    {50, serving, []string{"rs", "rs", "rs"}, []string{"rs"}, 25},
		"a pod that is not ready may serve any moment":        {0, serving, []string{"rs", "rs"}, []string{"s"}, 33},
		"a stable pod that is not ready does not serve":       {0, serving, []string{"rs", "s"}, []string{"rs"}, 50},
		"never 100 by labels":                                 {0, serving, []string{"s"}, []string{"rs"}, 99},
		"never 0 with a canary pod in service":                {0, serving, slices.Repeat([]string{"rs"}, 200), []string{"rs"}, 1},
		"with few pods above 50 as near as one stable pod is": {90, serving, []string{"rs", "r"}, []string{"rs", "rs"}, 90},
		"above 50 while stable pods still have to make room":  {90, serving, []string{"rs", "rs"}, []string{"rs", "rs"}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Weight(tc.asked, tc.selector, podsOf(tc.stable, tc.canary)); got != tc.want {
				t.Errorf("weight = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestReplicas(t *testing.T) {
	for _, tc := range []struct{ stable, weight, want, routed int32 }{
		{2, 0, 0, 0},
		{2, 1, 1, 1},
		{2, 20, 1, 1},
		{2, 33, 1, 1},
		{2, 34, 2, 1},
		{2, 50, 2, 1},
		{2, 80, 2, 2},
		{2, 100, 2, 2},
		{10, 20, 3, 2},
		{10, 10, 2, 1},
		{10, 50, 10, 5},
		{10, 90, 10, 9},
		{500, 50, 500, 250},
		{500, 1, 6, 5},
		{0, 20, 1, 1},
		{0, 100, 1, 1},
		{0, 0, 0, 0},
		{2, -1, 0, 0},
		{2, 200, 2, 2},
	} {
		if got := Replicas(tc.stable, tc.weight); got != tc.want {
			t.Errorf("%d%% beside %d: %d pods, want %d", tc.weight, tc.stable, got, tc.want)
		}
		if got := RoutedReplicas(tc.stable, tc.weight); got != tc.routed {
			t.Errorf("%d%% beside %d behind a gateway: %d pods, want %d", tc.weight, tc.stable, got, tc.routed)
		}
	}
}

// carryOut applies changes as the API server would, in their order, and calls after each one.
func carryOut(pods Pods, changes Labels, after func(Pods)) {
	set := func(name string, serving bool) {
		for _, side := range [][]corev1.Pod{pods.Stable, pods.Canary} {
			for i := range side {
				if side[i].Name == name && serving {
					side[i].Labels[v1alpha1.LabelServing] = ownership.Serving
				} else if side[i].Name == name {
					delete(side[i].Labels, v1alpha1.LabelServing)
				}
			}
		}
		after(pods)
	}
	for _, pod := range changes.Add {
		set(pod.Name, true)
	}
	for _, pod := range changes.Remove {
		set(pod.Name, false)
	}
}

func inService(pods []corev1.Pod) int32 { return count(keep(ready(pods), isServing)) }

// TestSplitHolds draws pods in any state and checks what must hold of every weight.
func TestSplitHolds(t *testing.T) {
	const seed, draws = 7, 40
	random := rand.New(rand.NewPCG(seed, seed))
	states := []string{"rs", "rs", "rs", "r", "s", "", "rst", "t"}
	draw := func(states []string) []string {
		out := make([]string, random.IntN(13))
		for i := range out {
			out[i] = states[random.IntN(len(states))]
		}
		return out
	}
	for range draws {
		stable, canary := draw(states), draw(append(states, "ro", "rso"))
		before := int32(0)
		for weight := range int32(100) { // 0 to 99
			pods := podsOf(stable, canary)
			readyStable, readyCanary := count(ready(pods.Stable)), count(pods.readyCanary())
			least := min(inService(pods.Stable)+inService(pods.Canary), readyStable)
			changes := LabelsFor(weight, pods)
			carryOut(pods, changes, func(pods Pods) {
				if got := inService(pods.Stable) + inService(pods.Canary); got < least {
					t.Fatalf("%d%% of %q and %q: on the way only %d pods are in service, there were %d", weight, stable, canary, got, least)
				}
			})
			if again := LabelsFor(weight, pods); !again.Empty() {
				t.Fatalf("%d%% of %q and %q: not settled, again %q and %q", weight, stable, canary, names(again.Add), names(again.Remove))
			}
			for _, pod := range pods.Canary {
				if isServing(pod) && (weight == 0 || !pods.mayServe(pod)) {
					t.Fatalf("%d%% of %q and %q: %s is in service", weight, stable, canary, pod.Name)
				}
			}
			s, c := inService(pods.Stable), inService(pods.Canary)
			if s+c < readyStable {
				t.Fatalf("%d%% of %q and %q: %d pods in service, less than the %d stable ones", weight, stable, canary, s+c, readyStable)
			}
			// Rounded up by one pod at most: one canary pod less, or one stable pod more, would be less than was asked for.
			if over := c > 1 && (c-1)*(100-weight) >= weight*s && c*(100-weight) >= weight*(s+1); over && readyStable > 0 {
				t.Fatalf("%d%% of %q and %q: %d of %d is too much", weight, stable, canary, c, c+s)
			}
			share := int32(0)
			if c+s > 0 {
				share = c * 10000 / (c + s)
			}
			if share < before {
				t.Fatalf("%d%% of %q and %q: the share falls from %d to %d", weight, stable, canary, before, share)
			}
			before = share
			enough := readyCanary >= Replicas(readyStable, weight)
			if got := Weight(weight, Selector(staging, weight), pods); enough && got != weight {
				t.Fatalf("%d%% of %q and %q: the weight is said to be %d", weight, stable, canary, got)
			}
			if enough && weight <= 50 && readyStable > 0 && share < weight*100 {
				t.Fatalf("%d%% of %q and %q: only %d of %d", weight, stable, canary, c, c+s)
			}
		}
	}
}

func TestSelectorsSelectWhatTheirWeightSays(t *testing.T) {
	for weight, want := range map[int32][3]bool{ // a stable pod, a canary pod, a canary pod in service
		0:   {true, false, false},
		1:   {true, false, true},
		99:  {true, false, true},
		100: {false, true, true},
	} {
		matches := func(pod corev1.Pod) bool {
			for key, value := range Selector(staging, weight) {
				if pod.Labels[key] != value {
					return false
				}
			}
			return true
		}
		got := [3]bool{
			matches(pod(ownership.ComponentAPI, "s", "rs")),
			matches(pod(ownership.ComponentCanary, "c", "r")),
			matches(pod(ownership.ComponentCanary, "c", "rs")),
		}
		if got != want {
			t.Errorf("at %d the Service selects %v, want %v", weight, got, want)
		}
		if Selector(staging, weight)[v1alpha1.LabelEnvironment] != "staging" {
			t.Errorf("at %d the Service would select pods of other environments", weight)
		}
		if ByLabels(weight) != (weight > 0 && weight < 100) {
			t.Errorf("by labels at %d: %t", weight, ByLabels(weight))
		}
	}
}

func TestPatchChangesOneLabel(t *testing.T) {
	for _, serving := range []bool{true, false} {
		before, after := "r", "rs"
		if !serving {
			before, after = after, before
		}
		object, want := pod(ownership.ComponentCanary, "c0", before), pod(ownership.ComponentCanary, "c0", after)
		c := fake.NewClientBuilder().WithObjects(&object).Build()
		for range 2 { // twice is the same as once
			if err := c.Patch(t.Context(), &object, Patch(serving)); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, object, cmpopts.IgnoreFields(corev1.Pod{}, "ResourceVersion", "TypeMeta")); diff != "" {
			t.Errorf("serving %t (-want +got):\n%s", serving, diff)
		}
	}
}
