package microservice

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// observed is what one pass has seen and decided.
type observed struct {
	// nameTooLong is set if no label of consent is possible; then nothing else is.
	nameTooLong string
	// environments, in the order of the spec.
	environments []observedEnvironment
	// strays are children of environments that the spec no longer has, or no longer there.
	strays []client.Object
}

// observedEnvironment is one environment: what was seen, then what was decided.
type observedEnvironment struct {
	name     string
	input    environment.Input
	decision environment.Decision
}

// observe reads everything that decisions are made from.
func (r *Reconciler) observe(ctx context.Context, ms *v1alpha1.Microservice) (observed, error) {
	key := client.ObjectKeyFromObject(ms)
	consent, problem := ownership.ConsentLabel(key)
	if problem != "" {
		return observed{nameTooLong: problem}, nil
	}
	children, err := r.children(ctx, key)
	if err != nil {
		return observed{}, err
	}
	var out observed
	for i := range ms.Spec.Environments {
		spec := &ms.Spec.Environments[i]
		place := environment.Place{
			Owner:        ownership.Owner{Microservice: key, Environment: spec.Name},
			Namespace:    spec.Namespace,
			MigrateImage: r.MigrateImage,
		}
		input, err := r.observeEnvironment(ctx, place, environment.ContentOf(&ms.Spec, spec), children, consent)
		if err != nil {
			return observed{}, fmt.Errorf("observing environment %s: %w", spec.Name, err)
		}
		out.environments = append(out.environments, observedEnvironment{name: spec.Name, input: input})
	}
	out.strays = strays(ms, children)
	return out, nil
}

func (r *Reconciler) observeEnvironment(ctx context.Context, place environment.Place, content environment.Content, all []client.Object, consent string) (environment.Input, error) {
	children, err := environment.ChildrenOf(place, content)
	if err != nil {
		return environment.Input{}, err
	}
	facts := environment.Facts{Now: r.Now(), Live: map[environment.ObjectKey]client.Object{}}
	for _, object := range all {
		owner, _ := ownership.Of(object)
		if owner != place.Owner || object.GetNamespace() != place.Namespace {
			continue
		}
		switch object := object.(type) {
		case *corev1.Pod:
			facts.Pods = append(facts.Pods, *object)
		case *batchv1.Job:
			facts.Jobs = append(facts.Jobs, *object)
		default:
			facts.Live[environment.ObjectKey{Kind: r.kindOf(object), Name: object.GetName()}] = object
		}
	}
	if facts.Namespace, err = r.namespaceFacts(ctx, place.Namespace, consent); err != nil {
		return environment.Input{}, err
	}
	input := environment.Input{Place: place, Content: content, Children: children, Facts: facts}
	// Asked of the API server itself, so only where something is about to be made.
	if facts.Namespace.Consents && !environment.Settled(place.Owner.Microservice.Name, children, facts) {
		if input.Facts.MissingSecrets, err = r.missingSecrets(ctx, place.Namespace, content); err != nil {
			return environment.Input{}, err
		}
		if input.Facts.Foreign, err = r.foreign(ctx, place, children, facts); err != nil {
			return environment.Input{}, err
		}
	}
	return input, nil
}

// children lists what carries the labels of a Microservice, in every namespace.
func (r *Reconciler) children(ctx context.Context, key client.ObjectKey) ([]client.Object, error) {
	var out []client.Object
	for _, child := range childTypes() {
		gvk, err := apiutil.GVKForObject(child, r.Client.Scheme())
		if err != nil {
			return nil, err
		}
		gvk.Kind += "List"
		object, err := r.Client.Scheme().New(gvk)
		if err != nil {
			return nil, err
		}
		list, ok := object.(client.ObjectList)
		if !ok {
			return nil, fmt.Errorf("%s is not a list", gvk.Kind)
		}
		if err := r.Client.List(ctx, list, r.OwnedBy(key)); err != nil {
			return nil, fmt.Errorf("listing %s: %w", gvk.Kind, err)
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if object, ok := item.(client.Object); ok {
				out = append(out, object)
			}
		}
	}
	return out, nil
}

// kindOf tells the kind of a typed object, which does not carry it.
func (r *Reconciler) kindOf(object client.Object) string {
	gvk, err := apiutil.GVKForObject(object, r.Client.Scheme())
	if err != nil {
		return "" // not one of childTypes, so nothing looks for it
	}
	return gvk.Kind
}

func (r *Reconciler) namespaceFacts(ctx context.Context, name, consent string) (environment.NamespaceFacts, error) {
	facts := environment.NamespaceFacts{ConsentLabel: consent}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return facts, nil
	}
	if err != nil {
		return facts, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	facts.Exists = true
	facts.Terminating = namespace.DeletionTimestamp != nil
	facts.Consents = namespace.Labels[consent] == v1alpha1.ConsentValue
	return facts, nil
}

// missingSecrets looks for the Secrets that the content refers to. Their values are read and dropped.
func (r *Reconciler) missingSecrets(ctx context.Context, namespace string, content environment.Content) ([]environment.MissingSecret, error) {
	var out []environment.MissingSecret
	for _, use := range environment.SecretUses(content) {
		secret := &corev1.Secret{}
		err := r.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: use.Secret.Name}, secret)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading Secret %s/%s: %w", namespace, use.Secret.Name, err)
		}
		if err != nil || len(secret.Data[use.Secret.Key]) == 0 {
			out = append(out, environment.MissingSecret{SecretKeyReference: use.Secret, Exists: err == nil, Field: "spec." + use.Field})
		}
	}
	return out, nil
}

// foreign finds objects that bear one of the children's names but not their labels. The caches do not hold those.
func (r *Reconciler) foreign(ctx context.Context, place environment.Place, children environment.Children, facts environment.Facts) ([]environment.ObjectKey, error) {
	var out []environment.ObjectKey
	for _, m := range append([]manifest.Manifest{children.ServiceAccount}, children.Workload...) {
		key := environment.KeyOf(m)
		if facts.Live[key] != nil {
			continue
		}
		found := &metav1.PartialObjectMetadata{}
		gvk, err := schema.ParseGroupVersion(m.Object().GetAPIVersion())
		if err != nil {
			return nil, err
		}
		found.SetGroupVersionKind(gvk.WithKind(m.Kind()))
		err = r.Live.Get(ctx, client.ObjectKey{Namespace: m.Namespace(), Name: m.Name()}, found)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for %s %s/%s: %w", m.Kind(), m.Namespace(), m.Name(), err)
		}
		if owner, ok := ownership.Of(found); !ok || owner != place.Owner {
			out = append(out, key)
		}
	}
	return out, nil
}

// strays returns the children that belong to no environment of the spec. Pods go with what owns them.
func strays(ms *v1alpha1.Microservice, children []client.Object) []client.Object {
	var out []client.Object
	for _, object := range children {
		owner, _ := ownership.Of(object)
		wanted := slices.ContainsFunc(ms.Spec.Environments, func(e v1alpha1.EnvironmentSpec) bool {
			return e.Name == owner.Environment && e.Namespace == object.GetNamespace()
		})
		if _, isPod := object.(*corev1.Pod); !wanted && !isPod && object.GetDeletionTimestamp() == nil {
			out = append(out, object)
		}
	}
	return out
}

// decide lets each environment decide, in order: what one has verified opens the next.
func (o *observed) decide(ms *v1alpha1.Microservice) error {
	previousVerified, previous := true, ""
	for i := range o.environments {
		current := &o.environments[i]
		current.input.Previous, current.input.PreviousVerified = previous, previousVerified
		var err error
		if current.decision, err = environment.Decide(current.input); err != nil {
			return fmt.Errorf("deciding about environment %s of %s/%s: %w", current.name, ms.Namespace, ms.Name, err)
		}
		previous, previousVerified = current.name, current.decision.Step == v1alpha1.StepVerified
	}
	return nil
}

// wakeUp is when to look again without having been told of a change; 0 for never.
func (o *observed) wakeUp(now time.Time) time.Duration {
	var next time.Duration
	sooner := func(d time.Duration) {
		if d = max(d, time.Millisecond); next == 0 || d < next {
			next = d
		}
	}
	for _, e := range o.environments {
		waiting := e.decision.Waiting
		if waiting == nil {
			continue
		}
		switch {
		case waiting.Deadline != nil:
			sooner(waiting.Deadline.Sub(now))
		case waiting.Type == v1alpha1.WaitSecret, waiting.Type == v1alpha1.WaitNameConflict:
			sooner(secretPoll)
		}
	}
	return next
}
