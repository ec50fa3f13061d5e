package microservice

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/interning"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// CacheOptions keep the caches small: of other people's objects they hold the metadata of namespaces and nothing else. Of
// namespaced objects they hold those in the given namespaces, or, if none is given, in all.
func CacheOptions(namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{ownership.LabelManagedBy: ownership.ManagedBy})}
	byObject := map[client.Object]cache.ByObject{}
	for _, child := range childTypes() {
		byObject[child] = ours
		if _, isPod := child.(*corev1.Pod); isPod {
			byObject[child] = cache.ByObject{Label: ours.Label, Transform: stripPod}
		}
	}
	var only map[string]cache.Config
	for _, namespace := range namespaces {
		if only == nil {
			only = map[string]cache.Config{}
		}
		only[namespace] = cache.Config{}
	}
	return cache.Options{
		ByObject:          byObject,
		DefaultNamespaces: only,
		DefaultTransform:  stripManagedFields,
		// A type that was forgotten fails at once instead of filling the memory with the whole cluster's objects.
		ReaderFailOnMissingInformer: true,
	}
}

// Indexes of the cache: without them every reconcile would walk through the objects of all Microservices.
const (
	// IndexNamespace finds Microservices by the namespaces of their environments.
	IndexNamespace = "spec.environments.namespace"
	// indexOwner finds children by their Microservice.
	indexOwner = "mirubato.owner"
)

// RegisterIndexes adds the indexes that the Reconciler reads by.
func RegisterIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &v1alpha1.Microservice{}, IndexNamespace, func(object client.Object) []string {
		var out []string
		if ms, ok := object.(*v1alpha1.Microservice); ok {
			for _, environment := range ms.Spec.Environments {
				out = append(out, environment.Namespace)
			}
		}
		return out
	})
	if err != nil {
		return fmt.Errorf("indexing Microservices by namespace: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.Release{}, indexOwner, ownerKey); err != nil {
		return fmt.Errorf("indexing Releases by owner: %w", err)
	}
	return indexChildren(ctx, indexer)
}

// indexChildren adds the index that children are read by.
func indexChildren(ctx context.Context, indexer client.FieldIndexer) error {
	for _, child := range childTypes() {
		if err := indexer.IndexField(ctx, child, indexOwner, ownerKey); err != nil {
			return fmt.Errorf("indexing %T by owner: %w", child, err)
		}
	}
	return nil
}

func ownerKey(object client.Object) []string {
	if release, ok := object.(*v1alpha1.Release); ok {
		return []string{types.NamespacedName{Namespace: release.Namespace, Name: release.Spec.Microservice}.String()}
	}
	owner, ok := ownership.Of(object)
	if !ok {
		return nil
	}
	return []string{owner.Microservice.String()}
}

// OwnedByIndex selects children by the index that RegisterIndexes adds.
func OwnedByIndex(key types.NamespacedName) client.ListOption {
	return client.MatchingFields{indexOwner: key.String()}
}

// stripPod keeps out of the caches what pods run with as well: it is most of a pod, pods are most of what there is, and the operator reads who a
// pod is and how it fares. What they should run with is in the Deployment.
func stripPod(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		pod.Spec = corev1.PodSpec{}
	}
	return stripManagedFields(object)
}

// texts are those of cached objects, of all clusters.
var texts interning.Table

// stripManagedFields keeps out of the caches what the operator never reads and what is often half of an object, and one copy of what all have in common.
func stripManagedFields(object any) (any, error) {
	if accessor, ok := object.(metav1.ObjectMetaAccessor); ok {
		accessor.GetObjectMeta().SetManagedFields(nil)
		texts.Share(object)
	}
	return object, nil
}
