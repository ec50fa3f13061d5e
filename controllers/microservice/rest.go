package microservice

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// rests remember all that a pass depended on which found nothing to do, and nothing that time or somebody outside the caches might
// change. As long as that is the same, another pass would find the same. The zero value remembers nothing. It may be used by several
// goroutines.
type rests struct {
	mu    sync.Mutex
	known map[types.NamespacedName]fingerprint
}

// fingerprint stands for what a pass depends on; the zero value for what cannot be told.
type fingerprint [sha256.Size]byte

func (r *rests) isKnown(of types.NamespacedName, now fingerprint) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now != fingerprint{} && r.known[of] == now
}

func (r *rests) remember(of types.NamespacedName, now fingerprint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[types.NamespacedName]fingerprint{}
	}
	r.known[of] = now
}

func (r *rests) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}

// ownAnnotations is the end of the domain of all annotations by which people tell the operator something.
const ownAnnotations = "mirubato.com/"

// fingerprintOf is that of a Microservice, its releases and its objects, by their versions: whatever changes has another. Annotations of others
// change the version of a Microservice and nothing else, so that it is looked into. What is in other clusters is not told.
func (r *Reconciler) fingerprintOf(ctx context.Context, ms *v1alpha1.Microservice, s *sites, releases []v1alpha1.Release) (fingerprint, error) {
	if len(s.others) > 0 || !ms.DeletionTimestamp.IsZero() {
		return fingerprint{}, nil
	}
	status, err := json.Marshal(ms.Status)
	if err != nil {
		return fingerprint{}, fmt.Errorf("encoding the status: %w", err)
	}
	var parts []string
	add := func(kind string, object client.Object) {
		parts = append(parts, strings.Join([]string{kind, string(object.GetUID()), object.GetResourceVersion()}, "\x00"))
	}
	for key, value := range ms.Annotations {
		if strings.Contains(key, ownAnnotations) {
			parts = append(parts, "annotation\x00"+key+"\x00"+value)
		}
	}
	for i := range releases {
		add("release", &releases[i])
	}
	for _, child := range s.children[s.own.ID] {
		add("child", child)
	}
	for _, environment := range ms.Spec.Environments {
		namespace := &metav1.PartialObjectMetadata{}
		namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		if err := s.own.Client.Get(ctx, client.ObjectKey{Name: environment.Namespace}, namespace); err != nil {
			return fingerprint{}, client.IgnoreNotFound(err)
		}
		add("namespace", namespace)
	}
	slices.Sort(parts)
	parts = append(parts, string(ms.UID), fmt.Sprint(ms.Generation), string(status))
	return sha256.Sum256([]byte(strings.Join(parts, "\n"))), nil
}

// rests reports whether a pass that wrote nothing has found nothing that another one would find otherwise without a change in the caches.
func (o *observed) rests(ms *v1alpha1.Microservice) bool {
	if o.target == nil || o.registry != nil || o.moved || o.unfinished || ms.Spec.Paused || isRouted(ms) ||
		len(o.orders.list)+len(o.orders.problems) > 0 || slices.ContainsFunc(o.remove, func(l leftover) bool { return len(l.objects) > 0 }) {
		return false
	}
	return !slices.ContainsFunc(o.stations, func(s *station) bool { return !s.rests() })
}

// rests reports whether an environment has come to its end, waits for nothing, and rests on nothing but what caches tell.
func (s *station) rests() bool {
	isTold := s.away == nil && s.route == nil && s.refusal == nil && !s.delivery.awaited && !s.relied
	isDone := s.held == nil && len(s.marked) == 0 && s.plan.Step == v1alpha1.StepVerified
	return isTold && isDone && s.plan.Waiting == nil && s.plan.WakeUp.IsZero()
}
