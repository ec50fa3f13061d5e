package microservice_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// kubelet makes the pods that Deployments ask for, and answers for all of them: each tells its release and counts requests.
type kubelet struct {
	server *httptest.Server

	mu       sync.Mutex
	releases map[string]string // by the name of the pod
	requests int
}

func newKubelet(t *testing.T) *kubelet {
	t.Helper()
	k := &kubelet{releases: map[string]string{}}
	k.server = httptest.NewServer(k)
	t.Cleanup(k.server.Close)
	return k
}

// BaseURL implements podclient.Endpoints: the first part of the path is the name of the pod.
func (k *kubelet) BaseURL(pod podclient.Pod, _ int) (string, error) {
	return k.server.URL + "/" + pod.Name, nil
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pod, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	w.Header().Set(contract.ReleaseHeader, k.releases[pod])
	if "/"+path == contract.MetricsPath {
		k.requests += 100 // all pods answer as many, and none with an error
		fmt.Fprintf(w, "# TYPE %[1]s counter\n%[1]s{status=\"200\"} %[2]d\n", contract.RequestsMetric, k.requests)
	}
}

// run brings the pods of a Microservice to what its Deployments ask for, at once.
func (k *kubelet) run(ctx context.Context, w *world) {
	w.t.Helper()
	pods := list(ctx, w, &corev1.PodList{}).Items
	wanted := map[client.ObjectKey]bool{}
	for _, d := range list(ctx, w, &appsv1.DeploymentList{}).Items {
		n := *d.Spec.Replicas
		for i := range n {
			key := client.ObjectKey{Namespace: d.Namespace, Name: fmt.Sprintf("%s-%s-%d", d.Name, d.Spec.Template.Labels[v1alpha1.LabelContent], i)}
			wanted[key] = true
			if !hasPod(pods, key) {
				k.start(ctx, w, &d, key)
			}
		}
		if d.Status.ObservedGeneration != d.Generation || d.Status.ReadyReplicas != n {
			d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
			w.must(direct.Status().Update(ctx, &d))
		}
	}
	for i := range pods {
		_, ofJob := pods[i].Labels["job"]
		if key := client.ObjectKeyFromObject(&pods[i]); !wanted[key] && !ofJob && metav1.GetControllerOf(&pods[i]) == nil {
			w.must(client.IgnoreNotFound(direct.Delete(ctx, &pods[i], client.GracePeriodSeconds(0))))
		}
	}
}

func hasPod(pods []corev1.Pod, key client.ObjectKey) bool {
	for i := range pods {
		if client.ObjectKeyFromObject(&pods[i]) == key {
			return true
		}
	}
	return false
}

// start makes a pod that is ready.
func (k *kubelet) start(ctx context.Context, w *world, d *appsv1.Deployment, key client.ObjectKey) {
	w.t.Helper()
	template := d.Spec.Template
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: template.Labels, Annotations: template.Annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "api", Image: template.Spec.Containers[0].Image}}},
	}
	variables := &corev1.ConfigMap{}
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name}, variables))
	w.must(direct.Create(ctx, pod))
	pod.Status.PodIP, pod.Status.PodIPs = "127.0.0.1", []corev1.PodIP{{IP: "127.0.0.1"}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	w.must(direct.Status().Update(ctx, pod))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.releases[key.Name] = variables.Data[contract.EnvRelease]
}

// serving counts the ready pods that the Service of an environment sends requests to.
func (w *world) serving(ctx context.Context, i int) int {
	w.t.Helper()
	service := &corev1.Service{}
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(i), Name: "scores"}, service))
	pods := &corev1.PodList{}
	w.must(direct.List(ctx, pods, client.InNamespace(w.namespace(i)), client.MatchingLabelsSelector{
		Selector: labels.SelectorFromSet(service.Spec.Selector),
	}))
	return meta.LenList(pods)
}
