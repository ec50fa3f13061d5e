package microservice

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// sites are the clusters of one pass: the operator's own, those of the spec, and those that may hold something from before.
type sites struct {
	own    *clusters.Cluster
	others map[clusters.Key]clusters.State
	// children of the Microservice in each cluster that is there, by its ID.
	children map[string][]client.Object
}

// own is the operator's own cluster.
func (r *Reconciler) own() *clusters.Cluster {
	return &clusters.Cluster{
		Client: r.Client, Live: r.Live, OwnedBy: r.OwnedBy, Doubt: func() {},
		Endpoints: func(string) podclient.Endpoints { return r.Smoke.Endpoints }, // pods are reached in one way
	}
}

// clusterOf names the cluster of an environment.
func clusterOf(ms *v1alpha1.Microservice, spec *v1alpha1.EnvironmentSpec) clusters.Key {
	if spec.Cluster == nil {
		return clusters.Key{}
	}
	reference := spec.Cluster.KubeconfigSecretRef
	key := clusters.Key{Namespace: ms.Namespace, Secret: reference.Name, Key: reference.Key}
	if key.Key == "" {
		key.Key = clusters.DefaultKey
	}
	return key
}

// clustersOf names the other clusters of the spec.
func clustersOf(ms *v1alpha1.Microservice) map[clusters.Key]bool {
	out := map[clusters.Key]bool{}
	for i := range ms.Spec.Environments {
		if key := clusterOf(ms, &ms.Spec.Environments[i]); !key.Own() {
			out[key] = true
		}
	}
	return out
}

// noted are the other clusters that the status remembers.
func noted(ms *v1alpha1.Microservice) []clusters.Key {
	var out []clusters.Key
	for _, c := range ms.Status.Clusters {
		out = append(out, clusters.Key{Namespace: ms.Namespace, Secret: c.Secret, Key: c.Key})
	}
	return out
}

// noteClusters remembers, before anything is made there, which clusters may hold something.
func (r *Reconciler) noteClusters(ctx context.Context, ms *v1alpha1.Microservice) error {
	before := ms.DeepCopy()
	known := noted(ms)
	for key := range clustersOf(ms) {
		if !slices.Contains(known, key) {
			ms.Status.Clusters = append(ms.Status.Clusters, v1alpha1.ClusterStatus{Secret: key.Secret, Key: key.Key})
		}
	}
	if equal(before.Status, ms.Status) {
		return nil
	}
	slices.SortFunc(ms.Status.Clusters, func(a, b v1alpha1.ClusterStatus) int {
		return cmp.Or(cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Key, b.Key))
	})
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, ms, patch); err != nil {
		return fmt.Errorf("noting the clusters: %w", err)
	}
	return nil
}

// observeSites connects to the clusters, and lists what each of them holds. It waits for none.
func (r *Reconciler) observeSites(ctx context.Context, ms *v1alpha1.Microservice) (sites, error) {
	out := sites{own: r.own(), children: map[string][]client.Object{}}
	wanted := clustersOf(ms)
	for _, key := range noted(ms) {
		wanted[key] = true
	}
	out.others = r.Clusters.Use(client.ObjectKeyFromObject(ms), slices.Collect(maps.Keys(wanted))...)
	for _, cluster := range out.there() {
		if _, done := out.children[cluster.ID]; done {
			continue
		}
		children, err := r.children(ctx, cluster, client.ObjectKeyFromObject(ms))
		if err != nil {
			return sites{}, err
		}
		out.children[cluster.ID] = children
	}
	return out, nil
}

// there are the clusters that can be reached, the operator's own first.
func (s *sites) there() []*clusters.Cluster {
	out := []*clusters.Cluster{s.own}
	for _, state := range s.others {
		if state.Away == nil {
			out = append(out, state.Cluster)
		}
	}
	return out
}

// of returns the cluster with that key, or why it is away.
func (s *sites) of(key clusters.Key) (*clusters.Cluster, *v1alpha1.WaitingFor) {
	if key.Own() {
		return s.own, nil
	}
	state := s.others[key]
	if state.Away != nil {
		return nil, state.Away.WaitingFor(key)
	}
	return state.Cluster, nil
}

// endpoints say where the pods of a station are reached.
func (s *station) endpoints() podclient.Endpoints { return s.cluster.Endpoints(s.place.Namespace) }

// leaves reports whether an error says that the station's cluster is away, or refuses what is asked of it. Then it concerns nobody
// else. The operator's own cluster concerns everybody.
func (s *station) leaves(err error) bool {
	if s.cluster == nil || s.cluster.Key.Own() {
		return false
	}
	trouble := clusters.Trouble(err)
	if trouble == nil {
		return false
	}
	s.away, s.troubled = trouble.WaitingFor(s.cluster.Key), true
	s.cluster.Doubt()
	return true
}

// freeze forgets what was seen of a station whose cluster is away: half of it may be missing.
func (s *station) freeze(ms *v1alpha1.Microservice, o *observed, now time.Time) {
	*s = station{spec: s.spec, place: s.place, target: s.target, turn: s.turn, held: s.held, away: s.away, troubled: s.troubled}
	s.begin(ms, o, now)
	s.input.Record = s.record(o)
	s.input.Facts.Away = s.away
}

// leftover is what is to be removed from a cluster.
type leftover struct {
	cluster *clusters.Cluster
	objects []client.Object
}

// strays returns the children that belong to no environment of the spec. Pods go with what owns them.
func (s *sites) strays(ms *v1alpha1.Microservice) []leftover {
	var out []leftover
	seen := map[string]bool{}
	for _, cluster := range s.there() {
		if seen[cluster.ID] {
			continue // two kubeconfigs lead to one cluster
		}
		seen[cluster.ID] = true
		var objects []client.Object
		for _, object := range s.children[cluster.ID] {
			owner, _ := ownership.Of(object)
			if isRemovable(object) && !s.wanted(ms, cluster, owner, object.GetNamespace()) {
				objects = append(objects, object)
			}
		}
		if len(objects) > 0 {
			out = append(out, leftover{cluster, objects})
		}
	}
	return out
}

func isRemovable(object client.Object) bool {
	_, isPod := object.(*corev1.Pod)
	return !isPod && object.GetDeletionTimestamp() == nil
}

// wanted reports whether an environment of the spec holds the objects of an owner in a namespace of a cluster. As long as nobody
// knows which cluster an environment is in, it may be any.
func (s *sites) wanted(ms *v1alpha1.Microservice, cluster *clusters.Cluster, owner ownership.Owner, namespace string) bool {
	return slices.ContainsFunc(ms.Spec.Environments, func(e v1alpha1.EnvironmentSpec) bool {
		if e.Name != owner.Environment || e.Namespace != namespace {
			return false
		}
		its, away := s.of(clusterOf(ms, &e))
		return away != nil || its.ID == cluster.ID
	})
}

// setClusters forgets the clusters that hold nothing any more, or were given up, and are in no environment.
func (s *sites) setClusters(ms *v1alpha1.Microservice, o orders) {
	wanted := clustersOf(ms)
	if !ms.DeletionTimestamp.IsZero() {
		wanted = nil
	}
	ms.Status.Clusters = slices.DeleteFunc(slices.Clone(ms.Status.Clusters), func(c v1alpha1.ClusterStatus) bool {
		key := clusters.Key{Namespace: ms.Namespace, Secret: c.Secret, Key: c.Key}
		cluster, away := s.of(key)
		empty := away == nil && (cluster.ID == "" || len(s.children[cluster.ID]) == 0)
		return !wanted[key] && (empty || o.forgets(c.Secret))
	})
	if len(ms.Status.Clusters) == 0 {
		ms.Status.Clusters = nil
	}
}

// missing are the clusters, noted in the status, that cannot be reached, and why.
func (s *sites) missing(ms *v1alpha1.Microservice) []v1alpha1.WaitingFor {
	var out []v1alpha1.WaitingFor
	for _, key := range noted(ms) {
		if _, away := s.of(key); away != nil {
			out = append(out, *away)
		}
	}
	return out
}

// clustersCondition tells whether all clusters can be reached; nil while there is none but the operator's own.
func clustersCondition(ms *v1alpha1.Microservice, seen observed) *metav1.Condition {
	if len(ms.Status.Clusters) == 0 {
		return nil
	}
	out := &metav1.Condition{
		Type: v1alpha1.ConditionClusterReachable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConnected, Message: "every cluster can be reached",
	}
	away := seen.sites.missing(ms)
	for _, s := range seen.stations {
		if s.troubled {
			away = append(away, *s.away)
		}
	}
	if len(away) > 0 {
		out.Status, out.Reason, out.Message = metav1.ConditionFalse, v1alpha1.ReasonAway, away[0].Message
	}
	return out
}
