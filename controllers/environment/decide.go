package environment

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/migration"
)

// Input is everything that a decision about one environment depends on.
type Input struct {
	Place    Place
	Content  Content
	Children Children
	Facts    Facts
	// Previous is the name of the environment before this one, empty for the first. PreviousVerified says whether it has
	// verified this very release.
	Previous         string
	PreviousVerified bool
}

// migrations is the part of the facts that package migration looks at.
func (in Input) migrations() migration.Observed {
	return migration.Observed{Jobs: in.Facts.Jobs, Pods: in.Facts.Pods, Now: in.Facts.Now}
}

// Decision is what to do in one environment, and what to tell about it.
type Decision struct {
	Step v1alpha1.Step
	// Waiting is nil when Step is Verified. Its Since is left to the caller.
	Waiting *v1alpha1.WaitingFor
	// Stalled: nothing will change until a person acts.
	Stalled bool
	// Apply are objects to write, Delete objects to remove, in this order.
	Apply  []manifest.Manifest
	Delete []client.Object
	// SchemaVersion, where a migration has just told it.
	SchemaVersion *int64
}

// gates are what must be true before anything is changed, in the order in which they are asked. Each returns what it waits
// for, or nil. What a person has to mend comes before what time brings, so that it is known early.
var gates = []func(Input) *v1alpha1.WaitingFor{
	namespaceExists,
	namespaceConsents,
	namesAreFree,
	secretsExist,
	previousIsVerified,
}

// Decide says what to do next in one environment.
func Decide(in Input) (Decision, error) {
	for _, gate := range gates {
		if waiting := gate(in); waiting != nil {
			return Decision{Step: v1alpha1.StepAdmit, Waiting: waiting}, nil
		}
	}
	if decision, done, err := expand(in); err != nil || !done {
		return decision, err
	}
	return promote(in)
}

// Settled reports whether the environment runs the wanted content, all pods ready: nothing has to be looked up for it.
func Settled(name string, children Children, facts Facts) bool {
	live := facts.deployment(name)
	return admitted(live, children) && Complete(live)
}

// admitted reports whether the content has passed the gates before: it runs already.
func admitted(live *appsv1.Deployment, children Children) bool {
	return runs(live, children.Content) && migrated(live, children.MigrationHash)
}

func namespaceExists(in Input) *v1alpha1.WaitingFor {
	waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitNamespace}
	switch {
	case !in.Facts.Namespace.Exists:
		waiting.Message = fmt.Sprintf("namespace %s does not exist", in.Place.Namespace)
		waiting.Unblock = "create it and label it: kubectl create namespace " + in.Place.Namespace
	case in.Facts.Namespace.Terminating:
		waiting.Message = fmt.Sprintf("namespace %s is being deleted", in.Place.Namespace)
		waiting.Unblock = "wait until it is gone and create it again, or take the environment out of spec.environments"
	default:
		return nil
	}
	return waiting
}

func namespaceConsents(in Input) *v1alpha1.WaitingFor {
	if in.Facts.Namespace.Consents {
		return nil
	}
	label := in.Facts.Namespace.ConsentLabel + "=" + v1alpha1.ConsentValue
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitConsent,
		Message: fmt.Sprintf("namespace %s does not consent: it has no label %s", in.Place.Namespace, label),
		Unblock: fmt.Sprintf("kubectl label namespace %s %s", in.Place.Namespace, label),
	}
}

func namesAreFree(in Input) *v1alpha1.WaitingFor {
	if len(in.Facts.Foreign) == 0 {
		return nil
	}
	key := in.Facts.Foreign[0]
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitNameConflict,
		Message: fmt.Sprintf("%s %s exists in namespace %s and was not made for this Microservice", key.Kind, key.Name, in.Place.Namespace),
		Unblock: fmt.Sprintf("remove it (kubectl delete %s --namespace %s %s), or use another namespace", strings.ToLower(key.Kind), in.Place.Namespace, key.Name),
	}
}

func secretsExist(in Input) *v1alpha1.WaitingFor {
	if len(in.Facts.MissingSecrets) == 0 {
		return nil
	}
	missing := in.Facts.MissingSecrets[0]
	waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitSecret}
	if missing.Exists {
		waiting.Message = fmt.Sprintf("Secret %s in namespace %s has no value for key %s (%s)", missing.Name, in.Place.Namespace, missing.Key, missing.Field)
		waiting.Unblock = fmt.Sprintf("add key %s to the Secret, or name another key in %s.key", missing.Key, missing.Field)
		return waiting
	}
	waiting.Message = fmt.Sprintf("Secret %s does not exist in namespace %s (%s)", missing.Name, in.Place.Namespace, missing.Field)
	waiting.Unblock = fmt.Sprintf("create it with key %s", missing.Key)
	return waiting
}

// previousIsVerified keeps a new content out until the environment before has verified it. What runs already is not taken
// away when an earlier environment gets into trouble later.
func previousIsVerified(in Input) *v1alpha1.WaitingFor {
	if in.PreviousVerified || admitted(in.Facts.deployment(in.Place.name()), in.Children) {
		return nil
	}
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitPreviousEnvironment,
		Message: fmt.Sprintf("environment %s has not verified release %s", in.Previous, in.Content.Release),
	}
}

// expand brings the schema to what the content needs. It is done when the pods may be replaced.
func expand(in Input) (Decision, bool, error) {
	if migrated(in.Facts.deployment(in.Place.name()), in.Children.MigrationHash) {
		return Decision{}, true, nil
	}
	next := migration.Decide(in.Children.MigrationHash, in.migrations())
	if next.Done {
		return Decision{}, true, nil
	}
	decision := Decision{
		Step:    v1alpha1.StepExpand,
		Waiting: next.Waiting,
		Stalled: next.Stalled,
		Delete:  objects(next.Delete),
	}
	if next.Start == 0 {
		return decision, false, nil
	}
	apply, err := changed(in, []manifest.Manifest{in.Children.ServiceAccount})
	if err != nil {
		return Decision{}, false, err
	}
	job, err := in.Children.Migration.Job(next.Start)
	if err != nil {
		return Decision{}, false, err
	}
	decision.Apply = append(apply, job)
	return decision, false, nil
}

// promote replaces the pods, and keeps everything as it shall be afterwards.
func promote(in Input) (Decision, error) {
	apply, err := changed(in, append([]manifest.Manifest{in.Children.ServiceAccount}, in.Children.Workload...))
	if err != nil {
		return Decision{}, err
	}
	live := in.Facts.deployment(in.Place.name())
	decision := Decision{Step: v1alpha1.StepVerified, Apply: apply, SchemaVersion: schemaVersion(in)}
	if !Settled(in.Place.name(), in.Children, in.Facts) {
		decision.Step = v1alpha1.StepPromote
		decision.Waiting = waitForPods(in.Facts.Pods, in.Children.Content, in.Content.Release)
		decision.Stalled = runs(live, in.Children.Content) && progressFailed(live)
		return decision, nil
	}
	decision.Delete = obsolete(in)
	return decision, nil
}

func schemaVersion(in Input) *int64 {
	if in.Children.Migration == nil {
		return nil
	}
	return migration.Decide(in.Children.MigrationHash, in.migrations()).SchemaVersion
}

// changed returns the manifests that differ from what is there.
func changed(in Input, wanted []manifest.Manifest) ([]manifest.Manifest, error) {
	var out []manifest.Manifest
	for _, m := range wanted {
		holds, err := m.Holds(in.Facts.Live[KeyOf(m)])
		if err != nil {
			return nil, err
		}
		if !holds {
			out = append(out, m)
		}
	}
	return out, nil
}

// obsolete returns what earlier releases left behind: ConfigMaps that no pod reads any more, and Jobs.
func obsolete(in Input) []client.Object {
	out := objects(migration.Obsolete(in.Children.MigrationHash, in.migrations()))
	var maps []client.Object
	for key, live := range in.Facts.Live {
		if configMap, ok := live.(*corev1.ConfigMap); ok && key.Name != in.Children.ConfigMap && configMap.DeletionTimestamp == nil {
			maps = append(maps, configMap)
		}
	}
	slices.SortFunc(maps, func(a, b client.Object) int { return strings.Compare(a.GetName(), b.GetName()) })
	return append(out, maps...)
}

func objects(jobs []batchv1.Job) []client.Object {
	var out []client.Object
	for i := range jobs {
		out = append(out, &jobs[i])
	}
	return out
}
