// Package preflight says whether a cluster offers what the operator needs, in the words of what is to be done about it.
//
// It owns the list of those things: the version of Kubernetes, the kinds, the rights of whoever asks, and that some operator
// holds the Lease. It changes nothing. What a single Microservice needs is said in its own status.
package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/config/rbac"
)

// oldest is the first version of Kubernetes whose kubelets give pods time to leave by the action sleep of preStop.
var oldest = version.MustParseGeneric("1.30.0")

// A Cluster is asked what it offers.
type Cluster struct {
	Client    client.Client
	Discovery discovery.DiscoveryInterface
	// Namespaces are those that the operator is limited to; none means all.
	Namespaces []string
	// Dashboard says that the operator serves one, which takes rights of its own.
	Dashboard bool
	// Lease is the one that the operator's replicas compete for.
	Lease client.ObjectKey
	Now   func() time.Time
}

// A Finding is the answer to one question. Problem is nil if all is well.
type Finding struct {
	// Subject says what was looked at, and what was found if all is well.
	Subject string
	Problem error
}

// Check asks all questions, also after one with a bad answer.
func Check(ctx context.Context, c Cluster) []Finding {
	questions := []func(context.Context, Cluster) (string, error){checkVersion, checkKinds, checkRights, checkLeader}
	out := make([]Finding, 0, len(questions))
	for _, ask := range questions {
		subject, err := ask(ctx, c)
		out = append(out, Finding{Subject: subject, Problem: err})
	}
	return out
}

func checkVersion(_ context.Context, c Cluster) (string, error) {
	info, err := c.Discovery.ServerVersion()
	if err != nil {
		return "Kubernetes", fmt.Errorf("asking the API server for its version: %w", err)
	}
	return "Kubernetes " + info.GitVersion, newEnough(info.GitVersion)
}

func newEnough(text string) error {
	running, err := version.ParseGeneric(text)
	if err != nil {
		return fmt.Errorf("reading the version of the API server: %w", err)
	}
	if running.LessThan(oldest) {
		return fmt.Errorf("it is too old: upgrade the cluster to %d.%d or newer", oldest.Major(), oldest.Minor())
	}
	return nil
}

func checkKinds(_ context.Context, c Cluster) (string, error) {
	group := v1alpha1.GroupVersion.String()
	subject := "kinds of " + group
	served, err := c.Discovery.ServerResourcesForGroupVersion(group)
	if err != nil && !apierrors.IsNotFound(err) {
		return subject, fmt.Errorf("asking the API server for %s: %w", group, err)
	}
	var missing []string
	for _, resource := range []string{"microservices", "microservices/status", "releases", "releases/status", "approvals", "approvals/status"} {
		if served == nil || !slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Name == resource }) {
			missing = append(missing, resource)
		}
	}
	if len(missing) > 0 {
		return subject, fmt.Errorf("%s missing: apply the CRDs of this version, config/crd, or upgrade the chart with crds.enabled=true", strings.Join(missing, ", "))
	}
	return subject, nil
}

// checkRights asks for each right by itself, so that the answer names the one that is missing.
func checkRights(ctx context.Context, c Cluster) (string, error) {
	const subject = "rights"
	rules, err := rbac.Rules()
	if err != nil {
		return subject, err
	}
	if c.Dashboard {
		rules = append(rules, dashboardRules()...)
	}
	asked := 0
	var missing []string
	for _, right := range rightsOf(rules, c.Namespaces) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right}}
		if err := c.Client.Create(ctx, review); err != nil {
			return subject, fmt.Errorf("asking for the right to %s: %w", describe(right), err)
		}
		asked++
		if !review.Status.Allowed {
			missing = append(missing, describe(right))
		}
	}
	const shown = 3
	if more := len(missing) - shown; more > 0 {
		missing = append(missing[:shown], fmt.Sprintf("and %d more", more))
	}
	if len(missing) > 0 {
		return subject, fmt.Errorf("missing: %s: apply config/rbac of this version, or upgrade the chart", strings.Join(missing, ", "))
	}
	return fmt.Sprintf("all %d rights", asked), nil
}

// dashboardRules are what it takes to ask who somebody is and what they may, for which markers of the controllers are no place: most
// operators serve no dashboard.
func dashboardRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}
}

// unplaced lie in no namespace.
var unplaced = []string{"namespaces", "tokenreviews", "subjectaccessreviews"}

// rightsOf are the single rights that rules grant in each of the namespaces, or in all if there is none.
func rightsOf(rules []rbacv1.PolicyRule, namespaces []string) []authorizationv1.ResourceAttributes {
	var out []authorizationv1.ResourceAttributes
	for _, rule := range rules {
		in := namespaces
		if len(in) == 0 || slices.ContainsFunc(rule.Resources, func(name string) bool { return slices.Contains(unplaced, name) }) {
			in = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, name := range rule.Resources {
				resource, subresource, _ := strings.Cut(name, "/")
				for _, verb := range rule.Verbs {
					for _, namespace := range in {
						out = append(out, authorizationv1.ResourceAttributes{
							Namespace: namespace, Group: group, Resource: resource, Subresource: subresource, Verb: verb,
						})
					}
				}
			}
		}
	}
	return out
}

func describe(right authorizationv1.ResourceAttributes) string {
	out := right.Verb + " " + right.Resource
	if right.Subresource != "" {
		out += "/" + right.Subresource
	}
	if right.Namespace != "" {
		out += " in " + right.Namespace
	}
	return out
}

func checkLeader(ctx context.Context, c Cluster) (string, error) {
	const subject = "operator at work"
	lease := &coordinationv1.Lease{}
	err := c.Client.Get(ctx, c.Lease, lease)
	if apierrors.IsNotFound(err) {
		return subject, fmt.Errorf("none has taken the Lease %s: see kubectl --namespace %s get pods", c.Lease, c.Lease.Namespace)
	}
	if err != nil {
		return subject, fmt.Errorf("reading the Lease %s: %w", c.Lease, err)
	}
	return subject, held(lease.Spec, c.Lease, c.Now())
}

// held says what is wrong with a Lease that nobody keeps.
func held(lease coordinationv1.LeaseSpec, key client.ObjectKey, now time.Time) error {
	if lease.HolderIdentity == nil || *lease.HolderIdentity == "" || lease.RenewTime == nil || lease.LeaseDurationSeconds == nil {
		return fmt.Errorf("the Lease %s was given back: see kubectl --namespace %s get pods", key, key.Namespace)
	}
	if now.Sub(lease.RenewTime.Time) > time.Duration(*lease.LeaseDurationSeconds)*time.Second {
		return fmt.Errorf("%s has not renewed the Lease %s in time: see kubectl --namespace %s get pods", *lease.HolderIdentity, key, key.Namespace)
	}
	return nil
}
