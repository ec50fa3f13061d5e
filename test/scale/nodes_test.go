//go:build scale

package scale

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// nodes stand for the controllers and nodes of a cluster: they make the pods of Deployments, which become ready at once, and
// finish what is being deleted.
type nodes struct {
	client client.Client

	mu sync.Mutex
	// expected are told when the first pod of a canary was made in a namespace.
	expected map[string]chan time.Time
}

func startNodes(ctx context.Context, t *testing.T, config *rest.Config, scheme *runtime.Scheme, f *fleet) *nodes {
	t.Helper()
	mgr, err := ctrl.NewManager(rest.CopyConfig(config), ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	n := &nodes{client: mgr.GetClient(), expected: map[string]chan time.Time{}}
	if err := n.register(ctx, mgr, f); err != nil {
		t.Fatal(err)
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(running) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("what plays the nodes ended: %v", err)
		}
	})
	return n
}

func (n *nodes) register(ctx context.Context, mgr ctrl.Manager, f *fleet) error {
	const atOnce = 16
	if err := f.watch(ctx, mgr.GetCache()); err != nil {
		return err
	}
	err := ctrl.NewControllerManagedBy(mgr).For(&appsv1.Deployment{}).Owns(&corev1.Pod{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: atOnce}).Complete(n)
	if err != nil {
		return err
	}
	leaving := builder.WithPredicates(predicate.NewPredicateFuncs(func(object client.Object) bool { return object.GetDeletionTimestamp() != nil }))
	for _, object := range []client.Object{&corev1.ConfigMap{}, &corev1.Service{}} {
		if err := ctrl.NewControllerManagedBy(mgr).For(object, builder.OnlyMetadata, leaving).Complete(n.collector(object)); err != nil {
			return err
		}
	}
	return nil
}

// collector finishes deletions as the garbage collector does: these objects own nothing.
func (n *nodes) collector(object client.Object) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		gone, ok := object.DeepCopyObject().(client.Object)
		if !ok {
			return reconcile.Result{}, fmt.Errorf("%T is no object", object)
		}
		gone.SetNamespace(req.Namespace)
		gone.SetName(req.Name)
		return reconcile.Result{}, n.release(ctx, gone)
	})
}

func (n *nodes) release(ctx context.Context, object client.Object) error {
	return client.IgnoreNotFound(n.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
}

// expect returns what tells when the first pod of a canary is made in a namespace.
func (n *nodes) expect(namespace string) <-chan time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make(chan time.Time, 1)
	n.expected[namespace] = out
	return out
}

// Reconcile brings the pods of a Deployment to what it asks for. Statuses come in two steps, as they do at the earliest: pods that
// are there, then pods that are ready.
func (n *nodes) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	d := &appsv1.Deployment{}
	if err := n.client.Get(ctx, req.NamespacedName, d); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	pods, err := n.removeOthers(ctx, d)
	if err != nil {
		return ctrl.Result{}, err
	}
	if d.DeletionTimestamp != nil {
		return ctrl.Result{}, n.release(ctx, d)
	}
	for i := range *d.Spec.Replicas {
		if name := podName(d, i); pods[name] == nil {
			if pods[name], err = n.makePod(ctx, d, name); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	if err := n.tell(ctx, d, readyOf(pods)); err != nil {
		return ctrl.Result{}, err
	}
	for _, pod := range pods {
		if err := n.makeReady(ctx, pod); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, n.tell(ctx, d, *d.Spec.Replicas)
}

func podName(d *appsv1.Deployment, i int32) string {
	return fmt.Sprintf("%s-%s-%d", d.Name, d.Spec.Template.Labels[v1alpha1.LabelContent], i)
}

// removeOthers deletes the pods that the Deployment does not ask for, and returns those that it does.
func (n *nodes) removeOthers(ctx context.Context, d *appsv1.Deployment) (map[string]*corev1.Pod, error) {
	list := &corev1.PodList{}
	if err := n.client.List(ctx, list, client.InNamespace(d.Namespace)); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for i := range *d.Spec.Replicas {
		wanted[podName(d, i)] = d.DeletionTimestamp == nil
	}
	out := map[string]*corev1.Pod{}
	for i := range list.Items {
		pod := &list.Items[i]
		switch {
		case !metav1.IsControlledBy(pod, d):
		case wanted[pod.Name]:
			out[pod.Name] = pod
		default:
			if err := client.IgnoreNotFound(n.client.Delete(ctx, pod, client.GracePeriodSeconds(0))); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (n *nodes) makePod(ctx context.Context, d *appsv1.Deployment, name string) (*corev1.Pod, error) {
	template := d.Spec.Template
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: name, Labels: template.Labels, Annotations: template.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: *template.Spec.DeepCopy(),
	}
	if err := n.client.Create(ctx, pod); err != nil {
		return nil, err // one that the cache has not heard of yet is there in the next pass
	}
	if ownership.ComponentOf(template.Labels) == ownership.ComponentCanary {
		n.mu.Lock()
		defer n.mu.Unlock()
		if expected := n.expected[d.Namespace]; expected != nil {
			expected <- time.Now()
			delete(n.expected, d.Namespace)
		}
	}
	return pod, nil
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func readyOf(pods map[string]*corev1.Pod) (ready int32) {
	for _, pod := range pods {
		if isReady(pod) {
			ready++
		}
	}
	return ready
}

// makeReady writes the status that a kubelet would, in its full length: it is part of what the operator keeps in memory.
func (n *nodes) makeReady(ctx context.Context, pod *corev1.Pod) error {
	if isReady(pod) {
		return nil
	}
	now := metav1.Now()
	status := &pod.Status
	status.Phase, status.StartTime = corev1.PodRunning, &now
	status.HostIP, status.HostIPs = "127.0.0.1", []corev1.HostIP{{IP: "127.0.0.1"}}
	status.PodIP, status.PodIPs = "127.0.0.1", []corev1.PodIP{{IP: "127.0.0.1"}}
	status.Conditions = nil
	for _, kind := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	status.ContainerStatuses = nil
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image, ContainerID: "containerd://" + string(pod.UID), Ready: true, Started: new(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	return client.IgnoreNotFound(n.client.Status().Update(ctx, pod))
}

// tell writes the status of a Deployment.
func (n *nodes) tell(ctx context.Context, d *appsv1.Deployment, ready int32) error {
	wanted := *d.Spec.Replicas
	if d.Status.ObservedGeneration == d.Generation && d.Status.Replicas == wanted && d.Status.ReadyReplicas >= ready {
		return nil
	}
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: wanted, UpdatedReplicas: wanted,
		ReadyReplicas: ready, AvailableReplicas: ready, UnavailableReplicas: wanted - ready,
	}
	return client.IgnoreNotFound(n.client.Status().Update(ctx, d))
}
