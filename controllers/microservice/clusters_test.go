package microservice_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/microservice"
)

// west is another cluster. What the operator sends there goes along a wire that can be cut.
type west struct {
	t      *testing.T
	server *envtest.Environment
	direct client.Client
	wire   *wire
}

func newWest(ctx context.Context, t *testing.T) *west {
	t.Helper()
	w := &west{t: t, server: &envtest.Environment{CRDInstallOptions: envtest.CRDInstallOptions{
		Paths:              []string{filepath.Join("..", "..", "config", "crd", "bases", "platform.mirubato.com_approvals.yaml")},
		ErrorIfPathMissing: true,
	}}}
	t.Cleanup(func() {
		if err := w.server.Stop(); err != nil {
			t.Errorf("stopping the other API server: %v", err)
		}
	})
	config, err := w.server.Start()
	w.must(err)
	w.direct, err = client.New(config, client.Options{Scheme: scheme})
	w.must(err)
	encoded, err := os.ReadFile(filepath.Join("..", "..", "config", "remote", "role.yaml"))
	w.must(err)
	role := &rbacv1.ClusterRole{}
	w.must(yaml.Unmarshal(encoded, role))
	w.must(w.direct.Create(ctx, role))
	w.wire = newWire(ctx, t, strings.Trim(strings.TrimPrefix(config.Host, "https://"), "/"))
	return w
}

func (w *west) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// kubeconfig is that of a user who has the rights of config/remote, and no others.
func (w *west) kubeconfig(ctx context.Context, name string) []byte {
	w.t.Helper()
	w.must(w.direct.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "mirubato-remote"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}))
	user, err := w.server.AddUser(envtest.User{Name: name}, nil)
	w.must(err)
	encoded, err := user.KubeConfig()
	w.must(err)
	config, err := clientcmd.Load(encoded)
	w.must(err)
	for _, cluster := range config.Clusters {
		cluster.Server = "https://" + w.wire.address
	}
	encoded, err = clientcmd.Write(*config)
	w.must(err)
	return encoded
}

// dismiss takes a user's rights away.
func (w *west) dismiss(ctx context.Context, name string) {
	w.t.Helper()
	w.must(w.direct.Delete(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

// wire passes bytes on between its address and a server, as long as it is not cut.
type wire struct {
	address, server string

	mu          sync.Mutex
	listener    net.Listener
	connections []net.Conn
}

func newWire(ctx context.Context, t *testing.T, server string) *wire {
	t.Helper()
	w := &wire{address: "127.0.0.1:0", server: server}
	w.mend(ctx, t)
	t.Cleanup(w.cut)
	return w
}

func (w *wire) mend(ctx context.Context, t *testing.T) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listener, w.address = listener, listener.Addr().String()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // it was cut
			}
			to, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.server)
			if err != nil {
				_ = from.Close()
				continue
			}
			w.mu.Lock()
			w.connections = append(w.connections, from, to)
			w.mu.Unlock()
			go pass(from, to)
			go pass(to, from)
		}
	}()
}

func pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.listener.Close()
	for _, connection := range w.connections {
		_ = connection.Close()
	}
	w.connections = nil
}

// pair is a world whose second environment is in another cluster. The operator looks at it only when it is woken.
type pair struct {
	*world
	west *west
	// counted reads what the operator has measured.
	counted func() map[string]int
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	due     time.Time
}

func newPair(ctx context.Context, t *testing.T) *pair {
	t.Helper()
	p := &pair{world: newWorldOf(ctx, t, "staging", "production"), west: newWest(ctx, t)}
	p.ms.Spec.Environments[1].Cluster = &v1alpha1.ClusterSpec{KubeconfigSecretRef: v1alpha1.SecretKeyReference{Name: "west"}}
	p.reconciler.Namespaces = []string{p.ms.Namespace, p.namespace(0)} // in the other cluster the kubeconfig's rights count
	p.in(p.west.direct, func() {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.namespace(1), Labels: map[string]string{p.consentLabel(): "true"}}}
		p.must(direct.Create(ctx, namespace))
		for secret, key := range map[string]string{"auth": "secret", "database": "url", "database-owner": "url"} {
			p.createSecret(ctx, namespace.Name, secret, key)
		}
	})
	options := microservice.ClusterOptions(direct, scheme) // its goroutines must not share the calls of a pass
	options.Interval, options.Timeout = 200*time.Millisecond, 5*time.Second
	p.counted = p.measure()
	options.Wrap = p.reconciler.Telemetry.Transport
	p.reconciler.Clusters = clusters.New(options)
	p.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	p.must(p.reconciler.Clusters.Source().Start(ctx, p.queue))
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.reconciler.Clusters.Start(running) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the clusters ended: %v", err)
		}
		p.queue.ShutDown()
	})
	p.create(ctx)
	return p
}

// in does something with the test's own client to another API server.
func (w *world) in(server client.Client, do func()) {
	own := direct
	direct = server
	defer func() { direct = own }()
	do()
}

// until lets the operator work, when it is woken or when its time has come, and what is around it in both clusters.
func (p *pair) until(ctx context.Context, what string, holds func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		for p.queue.Len() > 0 {
			request, _ := p.queue.Get()
			p.queue.Done(request)
			p.due = time.Now()
		}
		if !p.due.IsZero() && !time.Now().Before(p.due) {
			p.due = time.Time{}
			if again := p.reconcile(ctx).RequeueAfter; again > 0 {
				p.due = time.Now().Add(again)
			}
		}
		if p.read(ctx); holds() {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not in time; %s; %+v", what, p.ms.Status.Summary, p.ms.Status.Environments[1].WaitingFor)
		}
		p.home(ctx)
		p.in(p.west.direct, func() { p.runJobs(ctx, succeeded); p.readyPods(ctx); p.collectGarbage(ctx) })
	}
}

// home plays the Job controller and the kubelet of the operator's own cluster, whose watches are not at work here.
func (p *pair) home(ctx context.Context) {
	p.t.Helper()
	jobs, before := p.jobs(ctx), p.deployments(ctx)["staging"]
	p.runJobs(ctx, succeeded)
	p.readyPods(ctx)
	p.collectGarbage(ctx)
	open := 0
	for _, job := range jobs {
		if len(job.Status.Conditions) == 0 {
			open++
		}
	}
	if open > 0 || p.deployments(ctx)["staging"].ResourceVersion != before.ResourceVersion {
		p.due = time.Now()
	}
}

func (p *pair) give(ctx context.Context, kubeconfig []byte) {
	p.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.ms.Namespace, Name: "west"}, Data: map[string][]byte{"kubeconfig": kubeconfig}}
	if err := direct.Update(ctx, secret); apierrors.IsNotFound(err) {
		p.must(direct.Create(ctx, secret))
	} else {
		p.must(err)
	}
}

// away reports whether production waits for its cluster because of something, and nothing else does.
func (p *pair) away(because string) bool {
	condition := meta.FindStatusCondition(p.ms.Status.Conditions, v1alpha1.ConditionClusterReachable)
	return p.waits(1, v1alpha1.WaitCluster) && strings.Contains(p.ms.Status.Environments[1].WaitingFor.Message, because) &&
		condition != nil && condition.Status == metav1.ConditionFalse
}

func (p *pair) verified() bool {
	return meta.IsStatusConditionTrue(p.ms.Status.Conditions, v1alpha1.ConditionReady) && p.ms.Status.ObservedGeneration == p.ms.Generation
}

func (p *pair) imageIn(ctx context.Context, i int) string {
	d := &appsv1.Deployment{}
	if err := direct.Get(ctx, client.ObjectKey{Namespace: p.namespace(i), Name: "scores"}, d); err != nil {
		return err.Error()
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

func TestEnvironmentInAnotherCluster(t *testing.T) {
	ctx := t.Context()
	p := newPair(ctx, t)
	p.due = time.Now()
	p.until(ctx, "without a Secret nothing is known of the cluster", func() bool { return p.away("Secret west does not exist") })
	p.give(ctx, []byte("users: [{name: a, user: {exec: {command: sh}}}]"))
	p.until(ctx, "a kubeconfig that leads nowhere is refused", func() bool { return p.away("has no context") })
	p.give(ctx, p.west.kubeconfig(ctx, "first"))
	p.until(ctx, "the release is verified in both clusters", p.verified)
	if !meta.IsStatusConditionTrue(p.ms.Status.Conditions, v1alpha1.ConditionClusterReachable) {
		t.Errorf("conditions: %+v", p.ms.Status.Conditions)
	}
	if counted := p.counted(); counted["mirubato_api_writes_total/done"] == 0 {
		t.Errorf("no write to the other cluster is counted: %v", counted)
	}
	for _, object := range p.everything(ctx) {
		if object.GetNamespace() == p.namespace(1) {
			t.Errorf("%T %s was made in the wrong cluster", object, object.GetName())
		}
	}

	t.Run("is approved there", func(*testing.T) {
		p.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
			spec.Image = "localhost/scores:1.1.0"
			spec.Environments[1].Rollout = &v1alpha1.RolloutSpec{Approvals: 1}
		})
		p.due = time.Now()
		p.until(ctx, "an approval is waited for", func() bool { return p.waits(1, v1alpha1.WaitApproval) })
		approval := &v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(1), Name: "ship-it"}}
		approval.Spec = v1alpha1.ApprovalSpec{
			Microservice: v1alpha1.MicroserviceReference{Namespace: p.ms.Namespace, Name: p.ms.Name}, Environment: "production",
			Release: p.ms.Status.Release, PlanHash: p.ms.Status.Environments[1].PlanHash, Approver: "somebody",
		}
		p.must(p.west.direct.Create(ctx, approval))
		p.until(ctx, "it lets the release in", p.verified)
	})

	t.Run("freezes alone, and goes on with what it finds", func(t *testing.T) {
		p.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
			spec.Image = "localhost/scores:1.2.0"
			spec.Environments[1].Rollout = nil
		})
		p.west.wire.cut()
		p.due = time.Now()
		p.until(ctx, "the cluster is missed", func() bool { return p.away("refuses connections") })
		p.until(ctx, "the other environment goes on", func() bool {
			return p.ms.Status.Environments[0].Step == v1alpha1.StepVerified && p.imageIn(ctx, 0) == "localhost/scores:1.2.0"
		})
		if e := p.ms.Status.Environments[1]; e.Release == "" || e.WaitingFor.Unblock == "" || e.Replicas == 0 {
			t.Errorf("what was last seen is forgotten: %+v", e)
		}
		p.expectRest(ctx)
		p.west.wire.mend(ctx, t)
		p.until(ctx, "it is back", p.verified)
		p.in(p.west.direct, func() {
			if image := p.imageIn(ctx, 1); image != "localhost/scores:1.2.0" {
				t.Errorf("it runs %s", image)
			}
		})
		p.until(ctx, "what the release before has left there is removed", func() (one bool) {
			p.in(p.west.direct, func() { one = len(p.jobs(ctx)) == 1 })
			return one
		})
	})

	t.Run("is reached by new credentials", func(*testing.T) {
		p.west.dismiss(ctx, "first")
		p.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.3.0" })
		p.due = time.Now()
		p.until(ctx, "the old ones are refused", func() bool { return p.away("is forbidden") })
		p.give(ctx, p.west.kubeconfig(ctx, "second"))
		p.until(ctx, "the new ones are taken", p.verified)
	})

	t.Run("is emptied before the Microservice goes", func(t *testing.T) {
		p.west.wire.cut()
		p.must(direct.Delete(ctx, p.ms))
		p.due = time.Now()
		p.until(ctx, "what is at home is removed, and the rest is said", func() bool {
			ready := meta.FindStatusCondition(p.ms.Status.Conditions, v1alpha1.ConditionReady)
			return p.children(ctx) == 0 && strings.Contains(ready.Message, v1alpha1.VerbForget)
		})
		p.west.wire.mend(ctx, t)
		p.until(ctx, "it goes", func() bool { return apierrors.IsNotFound(direct.Get(ctx, p.key(), &v1alpha1.Microservice{})) })
		p.in(p.west.direct, func() {
			if n := p.children(ctx); n != 0 {
				t.Errorf("%d objects are left in the other cluster", n)
			}
		})
	})
}

func TestClusterThatDoesNotComeBackIsForgotten(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	w.ms.Spec.Environments[1].Cluster = &v1alpha1.ClusterSpec{KubeconfigSecretRef: v1alpha1.SecretKeyReference{Name: "west"}}
	w.create(ctx)
	w.reconcile(ctx)
	if !w.waits(1, v1alpha1.WaitCluster) || len(w.ms.Status.Clusters) != 1 {
		t.Fatalf("status is %+v", w.ms.Status)
	}
	w.annotate(ctx, v1alpha1.VerbForget, "west/1")
	w.reconcile(ctx)
	if len(w.ms.Status.Clusters) != 1 {
		t.Fatal("a cluster is forgotten that an environment is in")
	}
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Environments[1].Cluster = nil })
	w.verify(ctx)
	if len(w.ms.Status.Clusters) != 1 {
		t.Fatal("a cluster is forgotten that may hold something")
	}
	w.annotate(ctx, v1alpha1.VerbForget, "west/2")
	w.reconcile(ctx)
	if len(w.ms.Status.Clusters) != 0 || meta.FindStatusCondition(w.ms.Status.Conditions, v1alpha1.ConditionClusterReachable) != nil {
		t.Errorf("it is still there: %+v", w.ms.Status)
	}
	w.expectRest(ctx)
}
