package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Work is everything that a release would do in an environment, and so what people approve.
//
// Whatever could make an approver think again belongs here: what the pods run with, the migrations, from which release to
// which, how the requests are shifted, tested and judged, and when it may start. Two things do not: how many approvals are
// needed, since asking one more person says nothing against those who have approved; and replicas and traffic, which reach an
// environment without a release.
type Work struct {
	// Microservice is the UID of the object: one that is made anew under an old name counts its releases from 1 again.
	Microservice types.UID `json:"microservice"`
	Environment  string    `json:"environment"`
	Namespace    string    `json:"namespace"`
	// Release is the name of the release, From that of the one that the environment has verified last, empty if there is none.
	Release string `json:"release"`
	From    string `json:"from"`
	// ContentHash is that of the release, Content what its pods run with here, Migration the run that comes before them.
	ContentHash string `json:"contentHash"`
	Content     string `json:"content"`
	Migration   string `json:"migration"`
	// Rollout as the spec has it; nil is the same as empty.
	Rollout *v1alpha1.RolloutSpec `json:"rollout"`
}

// planHashLength is how many hexadecimal digits of a SHA-256 stand for work: 128 bits, since somebody may look for other work
// that an approval would hold for as well.
const planHashLength = 32

// PlanHash names work, to be approved. It fails only for values that have no JSON form.
func PlanHash(work Work) (string, error) {
	rollout := v1alpha1.RolloutSpec{}
	if work.Rollout != nil {
		rollout = *work.Rollout
	}
	rollout.Approvals = 0
	work.Rollout = &rollout
	encoded, err := json.Marshal(work)
	if err != nil {
		return "", fmt.Errorf("encoding the plan of %s in %s: %w", work.Release, work.Environment, err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])[:planHashLength], nil
}

// Question is which release asks to enter which environment.
type Question struct {
	Microservice types.NamespacedName
	Environment  string
	// Namespace of the environment. Approvals in any other one do not count.
	Namespace string
	Release   string
	PlanHash  string
	// Needed is how many people must approve.
	Needed int32
	// Authors may not approve: whoever changed the Microservice before the release was cut, and whoever changed it last. Empty
	// names are not known and forbid nothing.
	Authors []string
	// Admission is nil until the release was admitted.
	Admission *Admission
}

// Admission is how a release was admitted, as recorded.
type Admission struct {
	PlanHash   string
	ApprovedBy []string
}

// Mark is what has become of an Approval.
type Mark struct {
	// Name of the Approval, in the environment's namespace.
	Name    string
	State   v1alpha1.ApprovalState
	Message string
}

// Approvals says who has approved, what is waited for while they are too few (nil once they suffice), and which Approvals to
// mark. Those in other namespaces, for other Microservices or for other releases are passed over, and so is everything that
// bears a mark: what was used counts never again, and a mark is never changed. Names are sorted.
//
// Read the Approvals from the API server itself before admitting. Record the admission with approvedBy first and set the marks
// afterwards: a pass that was cut short in between finds the admission and sets them then.
func Approvals(question Question, approvals []v1alpha1.Approval) (waiting *v1alpha1.WaitingFor, approvedBy []string, marks []Mark) {
	var counting []v1alpha1.Approval
	for _, approval := range approvals {
		if !concerns(approval, question) {
			continue
		}
		if reason := void(approval, question); reason != "" {
			marks = append(marks, Mark{Name: approval.Name, State: v1alpha1.ApprovalVoid, Message: reason})
			continue
		}
		counting = append(counting, approval)
	}
	if question.Admission != nil {
		for _, approval := range counting {
			marks = append(marks, Mark{Name: approval.Name, State: v1alpha1.ApprovalUsed, Message: "the release has entered"})
		}
		return nil, slices.Clone(question.Admission.ApprovedBy), sorted(marks)
	}
	for _, approval := range counting {
		approvedBy = append(approvedBy, approval.Spec.Approver)
	}
	slices.Sort(approvedBy)
	approvedBy = slices.Compact(approvedBy)
	if len(approvedBy) < int(question.Needed) {
		waiting = missing(question, approvedBy)
	}
	return waiting, approvedBy, sorted(marks)
}

func sorted(marks []Mark) []Mark {
	slices.SortFunc(marks, func(a, b Mark) int { return strings.Compare(a.Name, b.Name) })
	return marks
}

// concerns reports whether an unmarked Approval was meant for the question. One that names another environment was meant for
// it if it lies in this one's namespace.
func concerns(approval v1alpha1.Approval, question Question) bool {
	spec := approval.Spec
	return approval.Status.State == "" && approval.DeletionTimestamp == nil &&
		approval.Namespace == question.Namespace &&
		spec.Microservice.Namespace == question.Microservice.Namespace && spec.Microservice.Name == question.Microservice.Name &&
		spec.Release == question.Release
}

// void says why an Approval can never count, or nothing if it does.
func void(approval v1alpha1.Approval, question Question) string {
	spec := approval.Spec
	switch {
	case spec.Environment != question.Environment:
		return fmt.Sprintf("this namespace is that of the environment %s, not %s", question.Environment, spec.Environment)
	case question.Admission != nil:
		if spec.PlanHash != question.Admission.PlanHash || !slices.Contains(question.Admission.ApprovedBy, spec.Approver) {
			return "the release had entered without it"
		}
	case slices.Contains(question.Authors, spec.Approver):
		return "the author of a change may not approve it"
	case spec.PlanHash != question.PlanHash:
		return "it is for another plan: what would be done has changed since, or the planHash was mistyped"
	}
	return ""
}

// missing says how many approvals are still needed, and how to give one.
func missing(question Question, approvedBy []string) *v1alpha1.WaitingFor {
	message := fmt.Sprintf("%s needs %s to enter %s", question.Release, count(question.Needed, "approval"), question.Environment)
	if len(approvedBy) > 0 {
		message += fmt.Sprintf(", %d given by %s", len(approvedBy), strings.Join(approvedBy, ", "))
	}
	return &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval, Message: message, Unblock: command(question)}
}

func count(n int32, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// command is what an approver pastes into a shell.
func command(question Question) string {
	return fmt.Sprintf(`kubectl create -f - <<EOF
apiVersion: %s
kind: Approval
metadata: {generateName: %s-, namespace: %q}
spec:
  microservice: {namespace: %q, name: %q}
  environment: %q
  release: %q
  planHash: %q
  approver: "$(kubectl auth whoami -o jsonpath={.status.userInfo.username})"
EOF`, v1alpha1.GroupVersion, question.Release, question.Namespace, question.Microservice.Namespace, question.Microservice.Name,
		question.Environment, question.Release, question.PlanHash)
}
