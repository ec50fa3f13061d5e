// Package verb reads the verbs that people set on a Microservice as annotations, each of which is carried out once.
//
// It owns their syntax and what "once" means. Carrying them out, recording that, and telling of problems is the caller's.
package verb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Name of a verb, and its key in v1alpha1.MicroserviceStatus.Handled.
type Name string

// The verbs, in the order in which they are carried out: what stops something comes before what lets it go on.
const (
	Abort  Name = "abort"
	Hold   Name = "hold"
	Retry  Name = "retry"
	Resume Name = "resume"
	Forget Name = "forget-cluster"
)

// form is how a verb is written. Forms differ in the number of their parts, and the last part is always the token.
type form struct {
	verb       Name
	annotation string
	// syntax for people.
	syntax string
	// least and most are how many parts the value may have.
	least, most int
	// ofCluster: it is for a cluster, not for an environment.
	ofCluster bool
}

func forms() []form {
	return []form{
		{Abort, v1alpha1.VerbAbort, "ENVIRONMENT/TOKEN", 2, 2, false},
		{Hold, v1alpha1.VerbHold, "ENVIRONMENT/TOKEN or ENVIRONMENT/RELEASE/TOKEN", 2, 3, false},
		{Retry, v1alpha1.VerbRetry, "TOKEN", 1, 1, false},
		{Resume, v1alpha1.VerbResume, "ENVIRONMENT/TOKEN", 2, 2, false},
		{Forget, v1alpha1.VerbForget, "SECRET/TOKEN", 2, 2, true},
	}
}

// Order is a verb to carry out.
type Order struct {
	Verb Name
	// Environment that it is for; empty for Retry, which concerns all, and for Forget.
	Environment string
	// Cluster that Forget gives up, by the Secret of its kubeconfig.
	Cluster string
	// Release at which Hold keeps the environment; empty for the one that it verified last.
	Release string
	// Value of the annotation. Record it under Verb in status.handled, in the same write as what the order has changed.
	Value string
}

// Problem is a verb that cannot be carried out.
type Problem struct {
	Verb Name
	// Message names the annotation, what is wrong with it, and what would be right.
	Message string
	// Value of the annotation. Record it like that of an order, so that the problem is told once.
	Value string
}

// Parse returns the verbs among the annotations of a Microservice that were not handled yet, at most one of each name.
//
// handled are the values that were handled last, by verb; environments are the names of the spec, clusters are those that may be
// forgotten. A value is new if it differs
// from the last one of its verb, whatever part of it differs: production/1 after staging/1 is. A value that is taken away and
// set again is not, unless another one of its verb was handled in between.
func Parse(annotations, handled map[string]string, environments, clusters []string) (orders []Order, problems []Problem) {
	for _, f := range forms() {
		value, set := annotations[f.annotation]
		if last, done := handled[string(f.verb)]; !set || done && last == value {
			continue
		}
		order, problem := f.read(value, environments, clusters)
		if problem != "" {
			problems = append(problems, Problem{Verb: f.verb, Message: fmt.Sprintf("the annotation %s=%q %s", f.annotation, value, problem), Value: value})
			continue
		}
		orders = append(orders, order)
	}
	return orders, problems
}

// read says what is wrong, or nothing.
func (f form) read(value string, environments, clusters []string) (Order, string) {
	order := Order{Verb: f.verb, Value: value}
	parts := strings.Split(value, "/")
	for _, part := range parts {
		if part == "" || strings.ContainsAny(part, " \t\r\n") {
			return order, fmt.Sprintf("has an empty part, or a space; write %s, with a token that was not used before, such as the time", f.syntax)
		}
	}
	if len(parts) < f.least || len(parts) > f.most {
		return order, fmt.Sprintf("is not of the form %s", f.syntax)
	}
	if f.most == 1 {
		return order, ""
	}
	if f.ofCluster {
		if order.Cluster = parts[0]; slices.Contains(clusters, order.Cluster) {
			return order, ""
		}
		return order, "names no cluster that may be forgotten: one that status.clusters lists and no environment of the spec is in"
	}
	order.Environment = parts[0]
	if len(parts) == f.most && f.most > f.least {
		order.Release = parts[1]
	}
	if slices.Contains(environments, order.Environment) {
		return order, ""
	}
	return order, fmt.Sprintf("names no environment of the spec; it has %s", strings.Join(environments, ", "))
}
