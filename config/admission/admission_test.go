// Package admission_test holds the policies to what they promise, on a real API server, in the name of several users.
package admission_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

const operator = "system:serviceaccount:mirubato-system:mirubato-operator"

var (
	config *rest.Config
	scheme = runtime.NewScheme()
)

func TestMain(m *testing.M) {
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func withServer(run func() int) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, fmt.Errorf("KUBEBUILDER_ASSETS does not name the directory of kube-apiserver and etcd: run these tests by make test")
	}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	server := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("..", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	defer func() { // also after a start that did not succeed, which leaves processes behind
		if serr := server.Stop(); serr != nil && err == nil {
			err = fmt.Errorf("stopping the API server: %w", serr)
		}
	}()
	if config, err = server.Start(); err != nil {
		return 0, fmt.Errorf("starting the API server: %w", err)
	}
	if err := install(context.Background()); err != nil {
		return 0, err
	}
	return run(), nil
}

// install applies every policy and waits until each is in force, which the API server does not tell.
func install(ctx context.Context) error {
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	for _, pattern := range []string{"*.yaml", filepath.Join("author", "*.yaml")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := create(ctx, direct, file); err != nil {
				return fmt.Errorf("applying %s: %w", file, err)
			}
		}
	}
	return untilInForce(ctx, direct)
}

func create(ctx context.Context, direct client.Client, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, document := range strings.Split(string(content), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
			return err
		}
		if object.GetKind() == "Kustomization" {
			continue
		}
		if err := direct.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// untilInForce waits until each policy refuses, or sets, what it is there for.
func untilInForce(ctx context.Context, direct client.Client) error {
	const namespace = "policies"
	if err := direct.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	prober, err := as("prober")
	if err != nil {
		return err
	}
	own := approval(namespace, "own", "prober")
	if err := prober.Create(ctx, own); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		forged, authored, unauthored := approval(namespace, "forged", "another"), microservice(namespace, "scores"), microservice(namespace, "scores")
		authored.Annotations = map[string]string{v1alpha1.AnnotationAuthor: "another"}
		err := prober.Create(ctx, unauthored, client.DryRunAll)
		sets := err == nil && unauthored.Annotations[v1alpha1.AnnotationAuthor] == "prober"
		return sets &&
			apierrors.IsForbidden(prober.Create(ctx, forged, client.DryRunAll)) &&
			apierrors.IsForbidden(markUsed(ctx, prober, own, client.DryRunAll)), nil
	})
}

// as returns a client that the API server takes for the user, who may do everything that no policy forbids.
func as(user string) (client.Client, error) {
	impersonating := rest.CopyConfig(config)
	impersonating.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	return client.New(impersonating, client.Options{Scheme: scheme})
}

func user(t testing.TB, name string) client.Client {
	t.Helper()
	out, err := as(name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func approval(namespace, name, approver string) *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ApprovalSpec{
			Microservice: v1alpha1.MicroserviceReference{Namespace: "music", Name: "scores"},
			Environment:  "production", Release: "scores-1", PlanHash: "0", Approver: approver,
		},
	}
}

func microservice(namespace, name string) *v1alpha1.Microservice {
	return &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.MicroserviceSpec{
			Image:        "registry.example.com/scores:1",
			Environments: []v1alpha1.EnvironmentSpec{{Name: "production", Namespace: "scores-production"}},
		},
	}
}

func markUsed(ctx context.Context, by client.Client, approval *v1alpha1.Approval, options ...client.SubResourcePatchOption) error {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"state":"Used"}}`))
	return by.Status().Patch(ctx, approval.DeepCopy(), patch, options...)
}

// newNamespace makes a namespace with a name of its own.
func newNamespace(t testing.TB) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := user(t, "admin").Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// refused fails unless the API server refused for the reason that is told.
func refused(t testing.TB, err error, why string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("err = %v, want %q", err, why)
	}
}

func TestNobodyApprovesInTheNameOfAnother(t *testing.T) {
	ctx, namespace := t.Context(), newNamespace(t)
	ann, bob := user(t, "ann"), user(t, "bob")
	refused(t, ann.Create(ctx, approval(namespace, "forged", "bob")), "spec.approver must be the name under which the cluster knows you: ann")
	refused(t, ann.Create(ctx, approval(namespace, "capital", "Ann")), "ann")
	own := approval(namespace, "real", "ann")
	if err := ann.Create(ctx, own); err != nil {
		t.Fatal(err)
	}
	own.Spec.Approver = "bob"
	refused(t, bob.Update(ctx, own.DeepCopy()), "an approval is never changed")
	refused(t, ann.Update(ctx, own), "an approval is never changed")
	if err := ann.Get(ctx, client.ObjectKeyFromObject(own), own); err != nil {
		t.Fatal(err)
	}
	own.Labels = map[string]string{"seen": "true"}
	if err := bob.Update(ctx, own); err != nil {
		t.Errorf("a label of another one's approval: %v", err)
	}
	if err := bob.Delete(ctx, own); err != nil {
		t.Errorf("deleting another one's approval: %v", err)
	}
}

func TestOnlyTheOperatorSaysWhatHasBecomeOfAnApproval(t *testing.T) {
	ctx, namespace := t.Context(), newNamespace(t)
	ann := user(t, "ann")
	own := approval(namespace, "own", "ann")
	own.Status.State = v1alpha1.ApprovalVoid
	if err := ann.Create(ctx, own); err != nil {
		t.Fatal(err)
	}
	if own.Status.State != "" {
		t.Errorf("it was made with the state %s", own.Status.State)
	}
	const why = "the status of an Approval is written by the operator only"
	refused(t, markUsed(ctx, ann, own), why)
	refused(t, markUsed(ctx, user(t, "system:serviceaccount:elsewhere:mirubato-operator"), own), why)
	if err := markUsed(ctx, user(t, operator), own); err != nil {
		t.Fatal(err)
	}
	if err := ann.Get(ctx, client.ObjectKeyFromObject(own), own); err != nil {
		t.Fatal(err)
	}
	if own.Status.State != v1alpha1.ApprovalUsed {
		t.Errorf("its state is %q", own.Status.State)
	}
	own.Status.State = ""
	refused(t, ann.Status().Update(ctx, own), why)
}

func authorOf(t testing.TB, key client.ObjectKey) string {
	t.Helper()
	ms := &v1alpha1.Microservice{}
	if err := user(t, "admin").Get(t.Context(), key, ms); err != nil {
		t.Fatal(err)
	}
	return ms.Annotations[v1alpha1.AnnotationAuthor]
}

func TestTheAuthorIsWhoChangedTheSpecLast(t *testing.T) {
	ctx := t.Context()
	ms := microservice(newNamespace(t), "scores")
	key := client.ObjectKeyFromObject(ms)
	merge := func(as, patch string, onStatus bool) func() error {
		return func() error {
			target := ms.DeepCopy()
			raw := client.RawPatch(types.MergePatchType, []byte(patch))
			if onStatus {
				return user(t, as).Status().Patch(ctx, target, raw)
			}
			return user(t, as).Patch(ctx, target, raw)
		}
	}
	for _, step := range []struct {
		does string
		do   func() error
		want string
	}{
		{"ann makes it", func() error { return user(t, "ann").Create(ctx, ms.DeepCopy()) }, "ann"},
		{"bob sets a label", merge("bob", `{"metadata":{"labels":{"a":"b"}}}`, false), "ann"},
		{"bob orders a retry", merge("bob", `{"metadata":{"annotations":{"platform.mirubato.com/retry":"1"}}}`, false), "ann"},
		{"the operator adds its finalizer", merge(operator, `{"metadata":{"finalizers":["platform.mirubato.com/children"]}}`, false), "ann"},
		{"the operator writes the status", merge(operator, `{"status":{"summary":"1: production waiting"}}`, true), "ann"},
		{"bob writes the same image", merge("bob", `{"spec":{"image":"registry.example.com/scores:1"}}`, false), "ann"},
		{"bob names another image", merge("bob", `{"spec":{"image":"registry.example.com/scores:2"}}`, false), "bob"},
		{"cid names another image, as ann", merge("cid", `{"metadata":{"annotations":{"platform.mirubato.com/author":"ann"}},"spec":{"image":"registry.example.com/scores:3"}}`, false), "cid"},
		{"cid takes the author away", merge("cid", `{"metadata":{"annotations":{"platform.mirubato.com/author":null}}}`, false), "cid"},
		{"ann takes the author away and pauses", merge("ann", `{"metadata":{"annotations":{"platform.mirubato.com/author":null}},"spec":{"paused":true}}`, false), "ann"},
		{"bob writes all of it anew, from a file", func() error {
			file := microservice(key.Namespace, key.Name)
			live := &v1alpha1.Microservice{}
			if err := user(t, "bob").Get(ctx, key, live); err != nil {
				return err
			}
			file.ResourceVersion, file.Spec = live.ResourceVersion, live.Spec
			return user(t, "bob").Update(ctx, file)
		}, "ann"},
		{"dan applies it", func() error {
			applied := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"image": "registry.example.com/scores:4"}}}
			applied.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Microservice"))
			applied.SetNamespace(key.Namespace)
			applied.SetName(key.Name)
			return user(t, "dan").Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("dan"), client.ForceOwnership)
		}, "dan"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.does, err)
		}
		if got := authorOf(t, key); got != step.want {
			t.Errorf("%s: the author is %q, want %q", step.does, got, step.want)
		}
	}
}

func TestNobodyIsMadeTheAuthorOfWhatTheyDidNotChange(t *testing.T) {
	ctx := t.Context()
	ms := microservice(newNamespace(t), "scores")
	if err := user(t, "ann").Create(ctx, ms.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	for _, forger := range []string{"ann", "bob", operator} {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"platform.mirubato.com/author":"cid"}}}`))
		refused(t, user(t, forger).Patch(ctx, ms.DeepCopy(), patch), "who last changed spec, that is ann")
	}
	if got := authorOf(t, client.ObjectKeyFromObject(ms)); got != "ann" {
		t.Errorf("the author is %q", got)
	}
}
