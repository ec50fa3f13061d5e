package microservice_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/analysis"
	"github.com/mirubato/mirubato/controllers/gate"
	"github.com/mirubato/mirubato/controllers/microservice"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/settings"
	"github.com/mirubato/mirubato/controllers/smoke"
)

// patience is a generous bound on what takes milliseconds on an idle machine.
const patience = time.Minute

// asOperator returns the configuration of a user who may do what config/rbac/role.yaml grants, and nothing else: everywhere, or
// in the namespaces alone, apart from looking at namespaces themselves.
func asOperator(ctx context.Context, t testing.TB, namespaces []string) *rest.Config {
	t.Helper()
	user := "operator-of-" + strings.ToLower(t.Name())
	encoded, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.Unmarshal(encoded, role); err != nil {
		t.Fatal(err)
	}
	role.Name = user
	roleRef := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: roleRef, Subjects: subjects}
	objects := []client.Object{role, binding}
	if len(namespaces) > 0 {
		looking := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user + "-namespaces"}}
		for _, rule := range role.Rules {
			if slices.Contains(rule.Resources, "namespaces") {
				looking.Rules = append(looking.Rules, rule)
			}
		}
		binding.RoleRef.Name = looking.Name
		objects = append(objects, looking)
	}
	for _, namespace := range namespaces {
		objects = append(objects, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user}, RoleRef: roleRef, Subjects: subjects})
	}
	for _, object := range objects {
		if err := direct.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	authenticated, err := server.AddUser(envtest.User{Name: user}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return authenticated.Config()
}

// start runs the controller under a manager until the test ends.
func (w *world) start(ctx context.Context) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	mgr, err := ctrl.NewManager(asOperator(ctx, w.t, w.reconciler.Namespaces), ctrl.Options{
		Scheme:  scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:   microservice.CacheOptions(w.reconciler.Namespaces),
	})
	w.must(err)
	w.must(microservice.RegisterIndexes(ctx, mgr.GetFieldIndexer()))
	reconciler := &microservice.Reconciler{
		Client:       mgr.GetClient(),
		Live:         mgr.GetAPIReader(),
		OwnedBy:      microservice.OwnedByIndex,
		Events:       mgr.GetEventRecorder("operator"),
		MigrateImage: "example.com/migrate:1.0.0",
		Namespaces:   w.reconciler.Namespaces,
		Smoke:        &smoke.Executor{Client: podclient.New(), Endpoints: podclient.Direct{}, Reader: direct, Writer: direct, Now: time.Now},
		Analysis:     analysis.NewRecorder(podclient.New()),
		Settings:     settings.NewReader(podclient.New(), nil),
		Budget:       w.reconciler.Budget,
		Claims:       gate.NewClaimants(),
		Now:          time.Now,
	}
	w.must(reconciler.SetupWithManager(mgr, reconciler, controller.Options{SkipNameValidation: new(true)}))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the manager ended: %v", err)
		}
	})
}

// eventually reads the Microservice until holds does, playing the part of the Job controller and the kubelet meanwhile.
func (w *world) eventually(ctx context.Context, what string, holds func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		w.read(ctx)
		return holds(), nil
	})
	if err != nil {
		w.t.Fatalf("%s: not in time; %s", what, w.ms.Status.Summary)
	}
}

// waits reports whether an environment waits for a thing of that type.
func (w *world) waits(i int, want v1alpha1.WaitType) bool {
	environments := w.ms.Status.Environments
	return len(environments) > i && environments[i].WaitingFor != nil && environments[i].WaitingFor.Type == want
}

// TestWatchesAndRights lets the controller live on what it is told by its watches, with the rights that it is installed
// with.
func TestWatchesAndRights(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	w.label(ctx, w.namespace(0), nil)
	w.start(ctx)
	w.create(ctx)
	w.eventually(ctx, "a namespace without consent is noticed", func() bool { return w.waits(0, v1alpha1.WaitConsent) })
	w.label(ctx, w.namespace(0), map[string]string{w.consentLabel(): "true"})
	w.eventually(ctx, "consent starts the migrations", func() bool { return len(w.jobs(ctx)) == 1 })

	for i, want := range []int{1, 2} {
		for _, stage := range []string{"check", "expand"} {
			w.eventually(ctx, "the next Job starts", func() bool { return slices.Contains(w.stages(ctx, i), stage) })
			w.runJobs(ctx, succeeded)
		}
		w.eventually(ctx, "their end brings the Deployment", func() bool { return len(w.deployments(ctx)) == want })
		w.readyPods(ctx)
		w.eventually(ctx, "ready pods verify the environment", func() bool {
			return w.ms.Status.Environments[i].Step == v1alpha1.StepVerified
		})
	}
	w.eventually(ctx, "the whole is ready", func() bool {
		return meta.IsStatusConditionTrue(w.ms.Status.Conditions, v1alpha1.ConditionReady)
	})

	w.must(direct.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(0), Name: "scores"}}))
	w.eventually(ctx, "a deleted Service comes back", func() bool { return len(list(ctx, w, &corev1.ServiceList{}).Items) == 2 })

	w.must(direct.Delete(ctx, w.ms))
	w.eventually(ctx, "a deleted Microservice goes when its children are gone", func() bool {
		w.collectGarbage(ctx)
		return apierrors.IsNotFound(direct.Get(ctx, w.key(), &v1alpha1.Microservice{})) && w.children(ctx) == 0
	})
}

// TestLimitedToNamespaces has an operator with rights in two namespaces work there as anywhere, and say what it is that it does not
// do in a third one, without asking the API server for what it would be refused.
func TestLimitedToNamespaces(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	w.ms.Spec.Environments[1].Rollout = &v1alpha1.RolloutSpec{Approvals: 1}
	w.reconciler.Namespaces = []string{w.ms.Namespace, w.namespace(0)}
	w.start(ctx)
	w.create(ctx)
	for _, stage := range []string{"check", "expand"} {
		w.eventually(ctx, "the Job starts", func() bool { return slices.Contains(w.stages(ctx, 0), stage) })
		w.runJobs(ctx, succeeded)
	}
	w.eventually(ctx, "the Deployment is made", func() bool { return len(w.deployments(ctx)) == 1 })
	w.readyPods(ctx)
	w.eventually(ctx, "the namespace outside is waited for", func() bool { return w.waits(1, v1alpha1.WaitNamespace) })
	waiting := w.ms.Status.Environments[1].WaitingFor
	if !strings.Contains(waiting.Message, w.namespace(1)+" is not one of those") || !strings.Contains(waiting.Unblock, "--namespaces") {
		t.Errorf("waiting for %q, to be unblocked by %q", waiting.Message, waiting.Unblock)
	}

	w.must(direct.Delete(ctx, w.ms))
	w.eventually(ctx, "the Microservice goes when its children are gone", func() bool {
		w.collectGarbage(ctx)
		return apierrors.IsNotFound(direct.Get(ctx, w.key(), &v1alpha1.Microservice{})) && w.children(ctx) == 0
	})
}

// TestWhoWaitsIsWoken has one wait for the place of another, with a manager: it asks by itself every ten minutes only.
func TestWhoWaitsIsWoken(t *testing.T) {
	ctx := t.Context()
	first, second := newWorldOf(ctx, t, "production"), newWorldOf(ctx, t, "production")
	first.reconciler.Budget = gate.NewBudget(1)
	first.reconciler.Namespaces = []string{first.ms.Namespace, first.namespace(0), second.ms.Namespace, second.namespace(0)}
	first.start(ctx)
	first.create(ctx)
	first.eventually(ctx, "the first takes the place", func() bool { return len(first.jobs(ctx)) == 1 })
	second.create(ctx)
	second.eventually(ctx, "the second waits for it", func() bool { return second.waits(0, v1alpha1.WaitBudget) })
	for _, stage := range []string{"check", "expand"} {
		first.eventually(ctx, "the next Job starts", func() bool { return slices.Contains(first.stages(ctx, 0), stage) })
		first.runJobs(ctx, succeeded)
	}
	first.eventually(ctx, "the Deployment is made", func() bool { return len(first.deployments(ctx)) == 1 })
	if len(second.jobs(ctx)) > 0 {
		t.Fatal("two rollouts are under way, and the budget has one place")
	}
	first.readyPods(ctx)
	second.eventually(ctx, "the second begins when the first has ended", func() bool { return len(second.jobs(ctx)) == 1 })
}
