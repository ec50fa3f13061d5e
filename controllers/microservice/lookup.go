package microservice

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// children lists what carries the labels of a Microservice, in every namespace of a cluster.
func (r *Reconciler) children(ctx context.Context, cluster *clusters.Cluster, key client.ObjectKey) ([]client.Object, error) {
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
		if err := cluster.Client.List(ctx, list, cluster.OwnedBy(key)); err != nil {
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

func (r *Reconciler) namespaceFacts(ctx context.Context, cluster *clusters.Cluster, name, consent string) (environment.NamespaceFacts, error) {
	facts := environment.NamespaceFacts{ConsentLabel: consent}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := cluster.Client.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return facts, nil
	}
	if err != nil {
		return facts, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	facts.Exists = true
	facts.Outside = !r.looksAfter(cluster, name)
	facts.Terminating = namespace.DeletionTimestamp != nil
	facts.Consents = namespace.Labels[consent] == v1alpha1.ConsentValue && !facts.Outside
	return facts, nil
}

// looksAfter reports whether the operator has rights in a namespace. Elsewhere every call would be refused, and the cache knows
// nothing. In other clusters the rights are those of the kubeconfig.
func (r *Reconciler) looksAfter(cluster *clusters.Cluster, namespace string) bool {
	return !cluster.Key.Own() || len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, namespace)
}

// observeNeeds looks for what others have to provide, and for names that they have taken. It asks the API server itself, so only
// where something is about to be made.
func (r *Reconciler) observeNeeds(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	if !s.facts.Namespace.Consents {
		return nil
	}
	if s.awaitsTurn(ms) {
		wanted, err := s.kept(ms)
		if err != nil {
			return err
		}
		s.facts.Foreign, err = s.foreign(ctx, wanted, nil)
		return err
	}
	var err error
	if !s.isSettled() {
		content := s.content(ms, s.target)
		if s.facts.MissingSecrets, err = missingSecrets(ctx, s.cluster, s.place.Namespace, content); err != nil {
			return err
		}
		if s.facts.Claim, err = claimFacts(ctx, s.cluster, s.place.Namespace, content.Storage.SharedClaim()); err != nil {
			return err
		}
	}
	wanted, err := s.everything(ms)
	if err != nil {
		return err
	}
	if s.isOut() {
		s.facts.Foreign, err = s.foreign(ctx, slices.DeleteFunc(slices.Clone(wanted), isTakenLate), anyVersion)
		return err
	}
	s.looked = true
	s.facts.Foreign, err = s.foreign(ctx, wanted, nil)
	return err
}

// isTakenLate reports whether a name is looked at only when it is taken. Who runs a service in a namespace already has a Deployment and a
// Service of its name: these tell early enough.
func isTakenLate(m manifest.Manifest) bool { return m.Kind() != "Deployment" && m.Kind() != "Service" }

// anyVersion has the API server answer from its own cache, which costs it a fraction. That may be behind by a moment: good enough to tell
// people early, and not to write by.
var anyVersion = &metav1.GetOptions{ResourceVersion: "0"}

// isOut reports whether the target cannot come in in this pass, and nothing is made.
func (s *station) isOut() bool {
	record := recordOf(s.target, s.name())
	return !s.turn && record.AdmittedAt == nil && record.VerifiedAt == nil && len(s.running()) == 0 && len(s.children) == 1
}

// awaitsTurn reports whether nothing new is made in this pass because others come first, the environment before or other rollouts, and
// what is needed was there when that was first found. Names are looked at again before anything is made. With many that wait, looking each
// time would be most of what the API server is asked, and those whose turn it is would wait for it.
func (s *station) awaitsTurn(ms *v1alpha1.Microservice) bool {
	if s.let || recordOf(s.target, s.name()).AdmittedAt != nil || ms.Status.ObservedGeneration != ms.Generation {
		return false
	}
	return slices.ContainsFunc(ms.Status.Environments, func(e v1alpha1.EnvironmentStatus) bool {
		same := e.Name == s.name() && e.Namespace == s.place.Namespace && e.Target == s.target.Name
		return same && e.WaitingFor != nil &&
			(e.WaitingFor.Type == v1alpha1.WaitBudget || e.WaitingFor.Type == v1alpha1.WaitPreviousEnvironment && !s.turn)
	})
}

// kept returns the objects of the releases that the environment keeps until its turn comes.
func (s *station) kept(ms *v1alpha1.Microservice) ([]manifest.Manifest, error) {
	var out []manifest.Manifest
	for name := range s.children {
		if name == s.target.Name && !slices.Contains(s.running(), name) {
			continue
		}
		stable, err := s.stable(ms, name, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, stable...)
	}
	return out, nil
}

// missingSecrets looks for the Secrets that the content refers to. Their values are read and dropped.
func missingSecrets(ctx context.Context, cluster *clusters.Cluster, namespace string, content environment.Content) ([]environment.MissingSecret, error) {
	var out []environment.MissingSecret
	for _, use := range environment.SecretUses(content) {
		secret := &corev1.Secret{}
		err := cluster.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: use.Secret.Name}, secret)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading Secret %s/%s: %w", namespace, use.Secret.Name, err)
		}
		if err != nil || len(secret.Data[use.Secret.Key]) == 0 {
			out = append(out, environment.MissingSecret{SecretKeyReference: use.Secret, Exists: err == nil, Field: "spec." + use.Field})
		}
	}
	return out, nil
}

// claimFacts looks for the claim of the storage, if there is to be one.
func claimFacts(ctx context.Context, cluster *clusters.Cluster, namespace, name string) (environment.ClaimFacts, error) {
	if name == "" {
		return environment.ClaimFacts{}, nil
	}
	claim := &corev1.PersistentVolumeClaim{}
	err := cluster.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, claim)
	if client.IgnoreNotFound(err) != nil {
		return environment.ClaimFacts{}, fmt.Errorf("reading PersistentVolumeClaim %s/%s: %w", namespace, name, err)
	}
	return environment.ClaimFacts{
		Name: name, Exists: err == nil, Shared: slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteMany),
	}, nil
}

// isNamedByContent reports whether nobody else gives that name: it ends in a hash of what is in the object.
func (s *station) isNamedByContent(name string) bool {
	for _, children := range s.children {
		if name == children.ConfigMap.Name() {
			return true
		}
	}
	return false
}

// foreign finds objects that bear one of the children's names but not their labels. The caches do not hold those. from may be nil for
// what is so now.
func (s *station) foreign(ctx context.Context, wanted []manifest.Manifest, from *metav1.GetOptions) ([]environment.ObjectKey, error) {
	var out []environment.ObjectKey
	for _, m := range wanted {
		key := environment.KeyOf(m)
		if s.facts.Live[key] != nil || s.isNamedByContent(key.Name) {
			continue
		}
		if _, unheard := s.unheard[key]; unheard {
			s.relied = true
			continue
		}
		found := &metav1.PartialObjectMetadata{}
		gvk, err := schema.ParseGroupVersion(m.APIVersion())
		if err != nil {
			return nil, err
		}
		found.SetGroupVersionKind(gvk.WithKind(m.Kind()))
		err = s.cluster.Live.Get(ctx, client.ObjectKey{Namespace: m.Namespace(), Name: m.Name()}, found, &client.GetOptions{Raw: from})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for %s %s/%s: %w", m.Kind(), m.Namespace(), m.Name(), err)
		}
		if owner, ok := ownership.Of(found); !ok || owner != s.place.Owner {
			out = append(out, key)
		}
	}
	return out, nil
}
