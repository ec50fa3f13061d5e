package gate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

var question = gate.Question{
	Microservice: types.NamespacedName{Namespace: "music", Name: "scores"},
	Environment:  "production", Namespace: "scores-production", Release: "scores-7", PlanHash: "0123456789e12345",
	Needed: 2, Authors: []string{"ann", ""},
}

func asked(change func(*gate.Question)) gate.Question {
	out := question
	change(&out)
	return out
}

// approval is one that counts for question, but for the changes.
func approval(name, approver string, changes ...func(*v1alpha1.Approval)) v1alpha1.Approval {
	out := v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: "scores-production", Name: name},
		Spec: v1alpha1.ApprovalSpec{
			Microservice: v1alpha1.MicroserviceReference{Namespace: "music", Name: "scores"},
			Environment:  "production", Release: "scores-7", PlanHash: question.PlanHash, Approver: approver,
		},
	}
	for _, change := range changes {
		change(&out)
	}
	return out
}

func marked(state v1alpha1.ApprovalState) func(*v1alpha1.Approval) {
	return func(a *v1alpha1.Approval) { a.Status.State = state }
}

func TestApprovalsCountForOneReleaseAndPlan(t *testing.T) {
	const otherPlan = "it is for another plan: what would be done has changed since, or the planHash was mistyped"
	for name, tc := range map[string]struct {
		question  gate.Question
		approvals []v1alpha1.Approval
		waits     bool
		by        []string
		marks     []gate.Mark
	}{
		"nobody has": {question: question, waits: true},
		"one of two": {question: question, approvals: []v1alpha1.Approval{approval("a", "bob")}, waits: true, by: []string{"bob"}},
		"two of two": {question: question, approvals: []v1alpha1.Approval{approval("a", "cid"), approval("b", "bob")}, by: []string{"bob", "cid"}},
		"one of them twice": {
			question:  question,
			approvals: []v1alpha1.Approval{approval("a", "bob"), approval("b", "bob")}, waits: true, by: []string{"bob"},
		},
		"none needed": {question: asked(func(q *gate.Question) { q.Needed = 0 })},
		"the author": {
			question:  question,
			approvals: []v1alpha1.Approval{approval("a", "ann"), approval("b", "bob")}, waits: true, by: []string{"bob"},
			marks: []gate.Mark{{"a", v1alpha1.ApprovalVoid, "the author of a change may not approve it"}},
		},
		"nobody knows the author": {
			question:  asked(func(q *gate.Question) { q.Authors = []string{""} }),
			approvals: []v1alpha1.Approval{approval("a", "ann"), approval("b", "bob")}, by: []string{"ann", "bob"},
		},
		"another plan": {
			question: question,
			approvals: []v1alpha1.Approval{
				approval("b", "cid"), approval("a", "bob", func(a *v1alpha1.Approval) { a.Spec.PlanHash = "0" }),
			},
			waits: true, by: []string{"cid"}, marks: []gate.Mark{{"a", v1alpha1.ApprovalVoid, otherPlan}},
		},
		"another environment's, laid here": {
			question:  question,
			approvals: []v1alpha1.Approval{approval("a", "bob", func(a *v1alpha1.Approval) { a.Spec.Environment = "staging" })},
			waits:     true,
			marks:     []gate.Mark{{"a", v1alpha1.ApprovalVoid, "this namespace is that of the environment production, not staging"}},
		},
		"used and void ones count never again": {
			question:  question,
			approvals: []v1alpha1.Approval{approval("a", "bob", marked(v1alpha1.ApprovalUsed)), approval("b", "cid", marked(v1alpha1.ApprovalVoid))}, waits: true,
		},
		"what is meant for others": {
			question: question,
			approvals: []v1alpha1.Approval{
				approval("a", "bob", func(a *v1alpha1.Approval) { a.Namespace = "elsewhere" }),
				approval("b", "bob", func(a *v1alpha1.Approval) { a.Spec.Microservice.Name = "other" }),
				approval("c", "bob", func(a *v1alpha1.Approval) { a.Spec.Microservice.Namespace = "other" }),
				approval("d", "bob", func(a *v1alpha1.Approval) { a.Spec.Release = "scores-6" }),
				approval("e", "bob", func(a *v1alpha1.Approval) { a.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }),
			},
			waits: true,
		},
		"once admitted, those that let it in are used, and no other": {
			question: asked(func(q *gate.Question) {
				q.PlanHash = "changed"
				q.Authors = []string{"bob"} // has changed something since
				q.Admission = &gate.Admission{PlanHash: question.PlanHash, ApprovedBy: []string{"bob", "cid"}}
			}),
			approvals: []v1alpha1.Approval{
				approval("a", "bob"), approval("b", "cid", marked(v1alpha1.ApprovalUsed)), approval("c", "dan"),
				approval("d", "cid", func(a *v1alpha1.Approval) { a.Spec.PlanHash = "changed" }),
			},
			by: []string{"bob", "cid"},
			marks: []gate.Mark{
				{"a", v1alpha1.ApprovalUsed, "the release has entered"},
				{"c", v1alpha1.ApprovalVoid, "the release had entered without it"},
				{"d", v1alpha1.ApprovalVoid, "the release had entered without it"},
			},
		},
		"admitted without any": {
			question:  asked(func(q *gate.Question) { q.Admission = &gate.Admission{PlanHash: question.PlanHash} }),
			approvals: []v1alpha1.Approval{approval("a", "bob")},
			marks:     []gate.Mark{{"a", v1alpha1.ApprovalVoid, "the release had entered without it"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // whatever the order in which they are listed
				waiting, by, marks := gate.Approvals(tc.question, tc.approvals)
				if (waiting != nil) != tc.waits {
					t.Errorf("waiting = %+v", waiting)
				}
				if diff := cmp.Diff(tc.by, by); diff != "" {
					t.Errorf("approved by (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.marks, marks); diff != "" {
					t.Errorf("marks (-want +got):\n%s", diff)
				}
				slices.Reverse(tc.approvals)
			}
		})
	}
}

func TestAMissingApprovalSaysHowToGiveIt(t *testing.T) {
	waiting, _, _ := gate.Approvals(question, []v1alpha1.Approval{approval("a", "bob")})
	if waiting == nil || waiting.Type != v1alpha1.WaitApproval || waiting.Message != "scores-7 needs 2 approvals to enter production, 1 given by bob" {
		t.Fatalf("waiting = %+v", waiting)
	}
	manifest, begins := strings.CutPrefix(waiting.Unblock, "kubectl create -f - <<EOF\n")
	manifest, ends := strings.CutSuffix(manifest, "\nEOF")
	if !begins || !ends {
		t.Fatalf("unblock = %s", waiting.Unblock)
	}
	var given v1alpha1.Approval
	if err := yaml.UnmarshalStrict([]byte(manifest), &given); err != nil {
		t.Fatal(err)
	}
	if given.GenerateName != "scores-7-" || given.Spec.Approver != "$(kubectl auth whoami -o jsonpath={.status.userInfo.username})" {
		t.Errorf("approval = %+v", given)
	}
	given.Spec.Approver = "cid" // as the shell would say
	if waiting, _, _ = gate.Approvals(question, []v1alpha1.Approval{approval("a", "bob"), given}); waiting != nil {
		t.Errorf("what was told to do does not do: %+v", waiting)
	}
}

func TestAPlanIsNamedByAllThatWouldBeDone(t *testing.T) {
	work := func() gate.Work {
		return gate.Work{
			Microservice: "uid", Environment: "production", Namespace: "ns", Release: "scores-7", From: "scores-6",
			ContentHash: "a", Content: "b", Migration: "c",
			Rollout: &v1alpha1.RolloutSpec{Approvals: 1, Soak: &metav1.Duration{Duration: time.Minute}},
		}
	}
	hash := func(change func(*gate.Work)) string {
		t.Helper()
		w := work()
		change(&w)
		before, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		out, err := gate.PlanHash(w)
		if err != nil {
			t.Fatal(err)
		}
		if after, err := json.Marshal(w); err != nil || string(after) != string(before) {
			t.Errorf("the work was changed: %s, %v", after, err)
		}
		return out
	}
	want := hash(func(*gate.Work) {})
	if len(want) != 32 {
		t.Errorf("hash = %q", want)
	}
	for name, change := range map[string]func(*gate.Work){
		"the same once more":     func(*gate.Work) {},
		"more approvals":         func(w *gate.Work) { w.Rollout.Approvals = 3 },
		"an empty list for none": func(w *gate.Work) { w.Rollout.Windows = []v1alpha1.Window{} },
	} {
		if got := hash(change); got != want {
			t.Errorf("%s is another plan", name)
		}
	}
	if hash(func(w *gate.Work) { w.Rollout = nil }) != hash(func(w *gate.Work) { w.Rollout = &v1alpha1.RolloutSpec{} }) {
		t.Error("no rollout and an empty one are two plans")
	}
	seen := map[string]string{want: "the plan itself"}
	for name, change := range map[string]func(*gate.Work){
		"microservice": func(w *gate.Work) { w.Microservice = "x" },
		"environment":  func(w *gate.Work) { w.Environment = "x" },
		"namespace":    func(w *gate.Work) { w.Namespace = "x" },
		"release":      func(w *gate.Work) { w.Release = "x" },
		"from":         func(w *gate.Work) { w.From = "x" },
		"content hash": func(w *gate.Work) { w.ContentHash = "x" },
		"content":      func(w *gate.Work) { w.Content = "x" },
		"migration":    func(w *gate.Work) { w.Migration = "x" },
		"soak":         func(w *gate.Work) { w.Rollout.Soak.Duration++ },
		"steps":        func(w *gate.Work) { w.Rollout.Steps = []v1alpha1.RolloutStep{{Weight: 1}} },
		"freezes":      func(w *gate.Work) { w.Rollout.Freezes = windows{window("0 9 * * *", time.Hour, "UTC")} },
		"windows":      func(w *gate.Work) { w.Rollout.Windows = windows{window("0 9 * * *", time.Hour, "UTC")} },
	} {
		got := hash(change)
		if other, taken := seen[got]; taken {
			t.Errorf("with another %s it is still %s", name, other)
		}
		seen[got] = "the plan with another " + name
	}
}
