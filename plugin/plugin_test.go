package plugin_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin"
)

func TestClusterWithoutTheOperatorIsNamed(t *testing.T) {
	if bare.code != plugin.ExitFailed || !strings.Contains(bare.err, "install the operator first") {
		t.Errorf("%+v", bare)
	}
}

func TestWrongCommandLinesDoNothing(t *testing.T) {
	w := newWorld(t)
	for name, args := range map[string][]string{
		"unknown command":  {"statsu"},
		"unknown flag":     {"status", "--colour"},
		"unknown format":   {"status", "-o", "xml"},
		"too few":          {"abort", "scores"},
		"too many":         {"retry", "scores", "production"},
		"no file":          {"plan"},
		"watched data":     {"status", "--watch", "-o", "json"},
		"a name among all": {"status", "-A", "scores"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.t = t
			inner.expect(inner.run(args...), plugin.ExitUsage, "error: ")
		})
	}
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	w := newWorld(t)
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	w.expect(w.run("status", "score"), plugin.ExitFailed, "there is no microservice score in namespace "+w.ms.Namespace, w.ms.Namespace+"/scores")
	w.expect(w.run("abort", "scores", "prod"), plugin.ExitFailed, "no environment prod; it has production")
	w.expect(w.run("history", "scores", "scores-9"), plugin.ExitFailed, "there is no release scores-9")
}

func TestClusterThatIsAwayIsNamed(t *testing.T) {
	w := newWorld(t)
	w.expect(w.run("status", "--server", "https://127.0.0.1:1"), plugin.ExitFailed, "the cluster cannot be reached")
	w.expect(call(t.Context(), "", "--kubeconfig", filepath.Join(t.TempDir(), "none"), "status"), plugin.ExitFailed, "kubeconfig")
}

func TestStatusForPeopleAndPrograms(t *testing.T) {
	w := newWorld(t)
	w.waits(v1alpha1.StepAdmit, v1alpha1.WaitWindow)
	w.expect(w.run("status"), plugin.ExitOK, "scores", "Window")
	w.expect(w.run("status", "scores"), plugin.ExitOK, "production waits for Window")
	w.expect(w.run("why", "scores", "production"), plugin.ExitOK, "it waits")
	var read v1alpha1.Microservice
	if err := json.Unmarshal([]byte(w.run("status", "scores", "-o", "json").out), &read); err != nil || read.Status.Release != "scores-1" {
		t.Errorf("%v, %+v", err, read.Status)
	}
}

func TestRightsOfTheCallerAreAllThereIs(t *testing.T) {
	w := newWorld(t)
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	viewer := w.viewer()
	w.expect(w.as(viewer, "", "status", "scores"), plugin.ExitOK, "Verified")
	w.expect(w.as(viewer, "", "abort", "scores", "production"), plugin.ExitFailed, "you may not do this")
	w.expect(w.as(viewer, "", "pause", "scores"), plugin.ExitFailed, "you may not do this")
}

func TestOrdersAreCarriedOutOrRefused(t *testing.T) {
	w := newWorld(t)
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	go w.obey(client.ObjectKeyFromObject(w.ms))
	w.expect(w.run("abort", "scores", "production"), plugin.ExitOK, "is aborted")
	w.expect(w.run("hold", "scores", "production", "refuse"), plugin.ExitFailed, "refused")
}

// obey notes orders as handled until the test ends, and refuses those for the release "refuse".
func (w *world) obey(key client.ObjectKey) {
	verbs := map[string]string{v1alpha1.VerbAbort: "abort", v1alpha1.VerbHold: "hold"}
	for w.t.Context().Err() == nil {
		ms := &v1alpha1.Microservice{}
		if err := direct.Get(w.t.Context(), key, ms); err != nil {
			return
		}
		for annotation, verb := range verbs {
			value := ms.Annotations[annotation]
			if value == "" || ms.Status.Handled[verb] == value {
				continue
			}
			if strings.Contains(value, "refuse") {
				event := &corev1.Event{
					ObjectMeta:     metav1.ObjectMeta{GenerateName: "scores-", Namespace: ms.Namespace},
					InvolvedObject: corev1.ObjectReference{Kind: "Microservice", Name: ms.Name, Namespace: ms.Namespace},
					Reason:         "VerbRefused", Message: "the annotation says " + value,
				}
				_ = direct.Create(w.t.Context(), event) // the test fails without it
			}
			if ms.Status.Handled == nil {
				ms.Status.Handled = map[string]string{}
			}
			ms.Status.Handled[verb] = value
			_ = direct.Status().Update(w.t.Context(), ms) // tried again
		}
		select {
		case <-w.t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestPauseIsAFieldOfTheSpec(t *testing.T) {
	w := newWorld(t)
	w.expect(w.run("pause", "scores"), plugin.ExitOK, "is paused")
	w.expect(w.run("pause", "scores"), plugin.ExitOK, "is paused already")
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	if !w.ms.Spec.Paused {
		t.Error("the spec does not say so")
	}
	w.expect(w.run("resume", "scores"), plugin.ExitOK, "is not paused")
}

func TestApprovalIsInTheCallersName(t *testing.T) {
	w := newWorld(t)
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	w.expect(w.run("approve", "scores", "production", "--yes"), plugin.ExitFailed, "waits for nothing")
	w.waits(v1alpha1.StepAdmit, v1alpha1.WaitApproval)
	w.expect(w.as(w.kubeconfig, "n\n", "approve", "scores", "production"), plugin.ExitFailed, "nothing was done")
	w.expect(w.as(w.kubeconfig, "y\n", "approve", "scores", "production"), plugin.ExitOK, "admin approved scores-1 for production")
	w.expect(w.run("approve", "scores", "production", "--yes"), plugin.ExitOK, "already")
	list := &v1alpha1.ApprovalList{}
	if err := direct.List(t.Context(), list, client.InNamespace(w.production)); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Spec.Approver != "admin" || list.Items[0].Spec.PlanHash != "0123" {
		t.Errorf("%+v", list.Items)
	}
}

func TestAnotherClusterIsNotMistakenForThisOne(t *testing.T) {
	w := newWorld(t)
	w.waits(v1alpha1.StepAdmit, v1alpha1.WaitApproval)
	w.ms.Spec.Environments[0].Cluster = &v1alpha1.ClusterSpec{KubeconfigSecretRef: v1alpha1.SecretKeyReference{Name: "west"}}
	if err := direct.Update(t.Context(), w.ms); err != nil {
		t.Fatal(err)
	}
	w.expect(w.run("approve", "scores", "production", "--yes"), plugin.ExitFailed, "in another cluster, that of Secret west", "kubectl mirubato why scores production")
	w.expect(w.run("logs", "scores"), plugin.ExitFailed, "in another cluster, that of Secret west", "kubectl logs there, in namespace "+w.production)
}

func TestWaitEndsWithACodeForPipelines(t *testing.T) {
	w := newWorld(t)
	w.expect(w.run("wait", "scores", "--timeout", "50ms"), plugin.ExitTimeout, "has not seen the latest change")
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	w.expect(w.run("wait", "scores", "-e", "production"), plugin.ExitOK)
	w.waits(v1alpha1.StepAdmit, v1alpha1.WaitApproval)
	w.expect(w.run("wait", "scores", "--no-person"), plugin.ExitPerson, "it waits")
	w.expect(w.run("wait", "scores", "--timeout", "50ms"), plugin.ExitTimeout)
	w.waits(v1alpha1.StepRejected, v1alpha1.WaitRejected)
	w.expect(w.run("wait", "scores"), plugin.ExitRejected, "scores-1 was rejected")
}

func TestPlanAsksTheAPIServerAndKeepsNothing(t *testing.T) {
	w := newWorld(t)
	manifest := `
kind: ConfigMap
apiVersion: v1
metadata: {name: other}
---
apiVersion: platform.mirubato.com/v1alpha1
kind: Microservice
metadata: {name: scores}
spec:
  image: registry.example.com/scores:IMAGE
  environments: [{name: production, namespace: ` + w.production + `}]
`
	changed := strings.Replace(manifest, "IMAGE", "2.0.0", 1)
	w.expect(w.as(w.kubeconfig, changed, "plan", "-f", "-"), plugin.ExitOK, `~ image: "registry.example.com/scores:1.0.0" -> "registry.example.com/scores:2.0.0"`, "migrations RUN")
	w.expect(w.as(w.kubeconfig, strings.Replace(changed, "{name: scores}", "{name: other}", 1), "plan", "-f", "-"), plugin.ExitOK, "made anew")
	w.expect(w.as(w.kubeconfig, strings.Replace(manifest, "IMAGE", "2.0.0/", 1), "plan", "-f", "-"), plugin.ExitFailed, "spec.image must")
	w.expect(w.as(w.kubeconfig, "a: b", "plan", "-f", "-"), plugin.ExitFailed, "holds no Microservice")
	w.observe(func(*v1alpha1.MicroserviceStatus) {})
	if w.ms.Spec.Image != "registry.example.com/scores:1.0.0" {
		t.Error("the plan was carried out")
	}
}

func TestReportHoldsNoValueOfAVariable(t *testing.T) {
	w := newWorld(t)
	if err := direct.Get(t.Context(), client.ObjectKeyFromObject(w.ms), w.ms); err != nil {
		t.Fatal(err)
	}
	w.ms.Spec.Workload.Env = []v1alpha1.EnvironmentVariable{{Name: "PASSWORD", Value: "hunter2"}}
	w.ms.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}
	if err := direct.Update(t.Context(), w.ms); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "secret", Namespace: w.production}, StringData: map[string]string{"a": "hunter2"}}
	if err := direct.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.tar.gz")
	w.expect(w.run("report", "scores", "-f", file), plugin.ExitOK, "Look into it")
	content := unpack(t, file)
	if !strings.Contains(content["microservice.yaml"], "name: PASSWORD") || content["production/pods.yaml"] == "" {
		t.Errorf("the report lacks what it should hold: %v", content)
	}
	for name, text := range content {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s holds a secret", name)
		}
	}
	w.expect(w.run("report", "scores", "-f", file), plugin.ExitFailed, "exists")
}

func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return content
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		content[header.Name] = string(data)
	}
}

func TestVersionsOfPluginAndOperator(t *testing.T) {
	w := newWorld(t)
	w.expect(w.run("version"), plugin.ExitOK, "plugin    0.1.0", "not installed")
	alone := w.run("version", "--client", "-o", "json")
	w.expect(alone, plugin.ExitOK, `"plugin": "0.1.0"`)
	if strings.Contains(alone.out, "operator") {
		t.Errorf("--client says %s", alone.out)
	}
}

// TestVersionWithoutACluster: whoever reports a problem can still say which plugin it is.
func TestVersionWithoutACluster(t *testing.T) {
	w := newWorld(t)
	away := filepath.Join(t.TempDir(), "kubeconfig")
	config := "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\ncontexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n"
	if err := os.WriteFile(away, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for kubeconfig, problem := range map[string]string{os.DevNull: "no cluster is configured: set KUBECONFIG", away: "127.0.0.1:1"} {
		got := w.as(kubeconfig, "", "version")
		w.expect(got, plugin.ExitFailed, "plugin    0.1.0", problem)
		if strings.Contains(got.out, "operator  ") {
			t.Errorf("%s: the operator is told of: %s", kubeconfig, got.out)
		}
	}
}

func TestCompletionOffersWhatThereIs(t *testing.T) {
	w := newWorld(t)
	w.expect(w.run("__complete", "status", ""), plugin.ExitOK, "scores\n")
	w.expect(w.run("__complete", "abort", "scores", ""), plugin.ExitOK, "production\n")
}
