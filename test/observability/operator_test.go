package observability_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	dto "github.com/prometheus/client_model/go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// operatorScrape starts the operator, lets a release be verified, another one stand in a canary and a third be aborted, and returns
// its metrics. It is done once.
func operatorScrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	scrapes.operator.Do(func() {
		server, c := apiServer(t)
		kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
		if err := os.WriteFile(kubeconfig, server.KubeConfig, 0o600); err != nil {
			t.Fatal(err)
		}
		address := freePort(t)
		// No Lease: one is for pods, whose namespace is that of the Lease.
		start(t, build(t, "operator"), []string{"KUBECONFIG=" + kubeconfig},
			"--migrate-image=localhost/migrate:1", "--metrics-address="+address, "--probe-address=0", "--leader-election=false")
		played := play{c: c}
		played.create(t, "good")
		played.create(t, "bad")
		eventually(t, func() error {
			if err := played.on(t.Context()); err != nil {
				return err
			}
			text, err := get(t.Context(), "http://"+address+"/metrics", http.Header{})
			if err != nil {
				return err
			}
			families, err := parse(text)
			if err != nil {
				return err
			}
			scrapes.operatorText, scrapes.ofOperator = text, families
			return lacking(families, "mirubato_environment_weight_ratio", "mirubato_environment_settings_pods",
				"mirubato_environment_waiting_since_timestamp_seconds", "mirubato_rejections_total")
		})
	})
	if scrapes.ofOperator == nil {
		t.Fatal("the operator was not scraped")
	}
	return scrapes.ofOperator
}

func apiServer(t *testing.T) (*envtest.Environment, client.Client) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS does not name the directory of kube-apiserver and etcd: run these tests by make test")
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	server := &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
	}
	t.Cleanup(func() { // also after a start that did not succeed, which leaves processes behind
		if err := server.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	config, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return server, c
}

// play is what happens to the Microservices, and what no API server does by itself: pods that become ready.
type play struct{ c client.Client }

func (p play) create(t *testing.T, name string) {
	t.Helper()
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	ms := &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: name},
		Spec: v1alpha1.MicroserviceSpec{
			Image:    "localhost/scores:1.0.0",
			Settings: &settings.Settings{Logging: &settings.Logging{Level: new(settings.LogInfo)}},
		},
	}
	objects := []client.Object{home}
	for _, environment := range []string{"staging", "production"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name + "-" + environment, Labels: map[string]string{v1alpha1.ConsentPrefix + name + "." + name: v1alpha1.ConsentValue},
		}}
		objects = append(objects, namespace)
		ms.Spec.Environments = append(ms.Spec.Environments, v1alpha1.EnvironmentSpec{
			Name: environment, Namespace: namespace.Name,
			// No pod answers, so the analysis never ends, and the new pods keep the requests that they have.
			Rollout: &v1alpha1.RolloutSpec{Strategy: v1alpha1.StrategyBlueGreen, Analysis: &v1alpha1.AnalysisSpec{ErrorRatio: &v1alpha1.RatioRule{}}},
		})
	}
	for _, object := range append(objects, ms) {
		if err := p.c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// on lets pods become ready, and takes the next step of each story. It says how far they are until there is no more to do.
func (p play) on(ctx context.Context) error {
	if err := p.readyPods(ctx); err != nil {
		return err
	}
	if err := p.next(ctx, "good", func(ms *v1alpha1.Microservice) error {
		if ms.Spec.Image != "localhost/scores:1.0.0" {
			return nil // its new pods have all requests, until there is a verdict
		}
		if !isVerified(ms) {
			return errors.New("not verified yet: " + ms.Status.Summary)
		}
		ms.Spec.Image = "localhost/scores:1.1.0"
		return nil
	}); err != nil {
		return err
	}
	return p.next(ctx, "bad", func(ms *v1alpha1.Microservice) error {
		metav1.SetMetaDataAnnotation(&ms.ObjectMeta, v1alpha1.VerbAbort, "staging/1")
		return nil
	})
}

// next changes a Microservice, unless it is as it shall be.
func (p play) next(ctx context.Context, name string, change func(*v1alpha1.Microservice) error) error {
	ms := &v1alpha1.Microservice{}
	if err := p.c.Get(ctx, client.ObjectKey{Namespace: name, Name: name}, ms); err != nil {
		return err
	}
	before := ms.DeepCopy()
	if err := change(ms); err != nil {
		return err
	}
	return p.c.Patch(ctx, ms, client.MergeFrom(before))
}

func isVerified(ms *v1alpha1.Microservice) bool {
	for _, e := range ms.Status.Environments {
		if e.Step != v1alpha1.StepVerified {
			return false
		}
	}
	return len(ms.Status.Environments) > 0
}

// readyPods completes the Deployments of the good one. Those of the bad one never are: it is aborted while it waits for them.
func (p play) readyPods(ctx context.Context) error {
	list := &appsv1.DeploymentList{}
	if err := p.c.List(ctx, list, client.MatchingLabels{ownership.LabelManagedBy: ownership.ManagedBy}); err != nil {
		return fmt.Errorf("listing Deployments: %w", err)
	}
	for i := range list.Items {
		d := &list.Items[i]
		if d.Labels[v1alpha1.LabelMicroservice] != "good" || d.Status.ObservedGeneration == d.Generation {
			continue
		}
		n := *d.Spec.Replicas
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
		if err := p.c.Status().Update(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// TestOperatorTellsItsWrites: by the resources that they are of.
func TestOperatorTellsItsWrites(t *testing.T) {
	families := operatorScrape(t)
	writes := map[string]float64{}
	for _, metric := range families["mirubato_api_writes_total"].GetMetric() {
		key := ""
		for _, label := range metric.GetLabel() {
			key += label.GetValue() + " "
		}
		writes[key] = metric.GetCounter().GetValue()
	}
	for _, want := range []string{"done releases create ", "done releases/status patch ", "done deployments patch ", "done microservices/status patch ", "done events create "} {
		if writes[want] == 0 {
			t.Errorf("no write %q is told: %v", want, writes)
		}
	}
}
