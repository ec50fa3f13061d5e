package plugin_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/test/results"
)

var many = flag.Int("many", 0, "how many Microservices to measure kubectl mirubato status with, for `make results`")

const (
	// releasesEach is how many Releases the operator keeps of a Microservice.
	releasesEach = 10
	// measured is how often a command line is called.
	measured = 20
)

// TestStatusOfManyIsQuick measures the program as a person calls it, from its start to its end, beside an API server that holds many
// Microservices of three environments, each with as many Releases as are kept, all in one namespace.
func TestStatusOfManyIsQuick(t *testing.T) {
	if *many == 0 {
		t.Skip("takes a minute; run it with -many 200")
	}
	w := &world{t: t, home: t.TempDir()}
	w.kubeconfig = w.user("admin", "system:masters")
	namespace := newNamespace(t)
	if err := crowd(t.Context(), namespace, *many); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "kubectl-mirubato")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/kubectl-mirubato").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, tc := range []struct {
		name  string
		args  []string
		bound results.Bound
	}{
		{"status of all", []string{"status"}, "< 1"},
		{"status of one", []string{"status", "scores-7"}, "< 1"},
		{"why of one", []string{"why", "scores-7"}, "< 1"},
		{"migrations of one", []string{"migrations", "scores-7"}, "< 1"},
	} {
		took := make([]time.Duration, 0, measured)
		for range measured {
			cmd := exec.CommandContext(t.Context(), program, append([]string{"--kubeconfig", w.kubeconfig, "-n", namespace}, tc.args...)...)
			began := time.Now()
			out, err := cmd.Output()
			took = append(took, time.Since(began))
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				t.Fatalf("%v: %v: %s", tc.args, err, exit.Stderr)
			}
			if err != nil || !strings.Contains(string(out), "scores-7") {
				t.Fatalf("%v: %v: %s", tc.args, err, out)
			}
		}
		slices.Sort(took)
		f := results.Figure{
			Name: fmt.Sprintf("kubectl mirubato, %s, slowest of %d with %d Microservices", tc.name, measured, *many), Value: took[measured-1].Seconds(), Unit: "s", Bound: tc.bound,
			Command: fmt.Sprintf("go test ./plugin -run TestStatusOfManyIsQuick -many %d -v", *many),
		}
		results.Record(t, f)
		t.Logf("median %s", took[measured/2])
		if f.Missed() {
			t.Errorf("%s: %v %s, want %s", f.Name, f.Value, f.Unit, f.Bound)
		}
	}
}

// crowd makes Microservices with all that the operator writes of them.
func crowd(ctx context.Context, namespace string, n int) error {
	numbers, failed := make(chan int), make(chan error, 1)
	var makers sync.WaitGroup
	for range 8 {
		makers.Go(func() {
			for i := range numbers {
				if err := member(ctx, namespace, fmt.Sprint("scores-", i)); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	makers.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

var stages = []string{"development", "staging", "production"}

func member(ctx context.Context, namespace, name string) error {
	ms := &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       v1alpha1.MicroserviceSpec{Image: "registry.example.com/mirubato/scores:1.4.0"},
	}
	for _, stage := range stages {
		ms.Spec.Environments = append(ms.Spec.Environments, v1alpha1.EnvironmentSpec{Name: stage, Namespace: name + "-" + stage})
	}
	if err := direct.Create(ctx, ms); err != nil {
		return err
	}
	last := fmt.Sprintf("%s-%d", name, releasesEach)
	ms.Status = v1alpha1.MicroserviceStatus{
		ObservedGeneration: ms.Generation, Release: last, Summary: "1.4.0: development verified, staging canary 20%, production waiting for PreviousEnvironment",
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Step", Message: "staging: 20% of the requests go to " + last, LastTransitionTime: metav1.Now()},
			{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: "Step", Message: "staging: 20% of the requests go to " + last, LastTransitionTime: metav1.Now()},
		},
	}
	for _, stage := range stages {
		ms.Status.Environments = append(ms.Status.Environments, v1alpha1.EnvironmentStatus{
			Name: stage, Namespace: name + "-" + stage, Target: last, Step: v1alpha1.StepVerified, Release: last, Verified: last, Version: "1.4.0",
			Image: "registry.example.com/mirubato/scores:1.4.0@sha256:" + strings.Repeat("0", 64), PlanHash: strings.Repeat("0", 64),
			SchemaVersion: new(int64(17)), Replicas: 3, ReadyReplicas: 3, Settings: &v1alpha1.SettingsStatus{Generation: releasesEach, Acknowledged: 3, Pods: 3},
			WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitStep, Message: "20% of the requests go to " + last, Since: metav1.Now()},
		})
	}
	if err := direct.Status().Update(ctx, ms); err != nil {
		return err
	}
	for number := range int64(releasesEach) {
		if err := memberRelease(ctx, ms, number+1); err != nil {
			return err
		}
	}
	return nil
}

// memberRelease has as much evidence as a release with a canary and a backup keeps.
func memberRelease(ctx context.Context, ms *v1alpha1.Microservice, number int64) error {
	release := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", ms.Name, number), Namespace: ms.Namespace, Labels: ownership.ByMicroservice(client.ObjectKeyFromObject(ms))},
		Spec: v1alpha1.ReleaseSpec{
			Microservice: ms.Name, Number: number, Version: "1.4.0", ContentHash: fmt.Sprint(number), Author: "ada", Reference: ms.Spec.Image,
			Image: "registry.example.com/mirubato/scores:1.4.0@sha256:" + strings.Repeat("0", 64),
		},
	}
	if err := direct.Create(ctx, release); err != nil {
		return err
	}
	for _, stage := range stages {
		in := v1alpha1.ReleaseEnvironmentStatus{
			Name: stage, Step: v1alpha1.StepVerified, AdmittedAt: before(time.Hour), VerifiedAt: before(time.Minute), PlanHash: strings.Repeat("0", 64),
			Database: &v1alpha1.DatabaseEvidence{
				Check: &v1alpha1.CheckEvidence{From: 16, Target: 17, Fingerprint: strings.Repeat("f", 64)},
				Backup: &v1alpha1.BackupEvidence{
					Name: aBackup, ClaimName: "scores-backups", StartedAt: *before(time.Hour), FinishedAt: *before(time.Hour), SHA256: strings.Repeat("a", 64), Fingerprint: strings.Repeat("f", 64),
				},
				Applied: []v1alpha1.AppliedMigration{{Version: 17, Name: "17_add_key_signature.sql"}},
			},
		}
		for i := range 20 {
			in.Steps = append(in.Steps, v1alpha1.StepTime{Step: v1alpha1.StepCanary, Time: *before(time.Duration(i) * time.Minute)})
			in.Analysis = append(in.Analysis, v1alpha1.AnalysisSample{
				Time: *before(time.Duration(i) * time.Minute), Weight: 20, Verdict: v1alpha1.VerdictPass, CanaryRequests: 200, StableRequests: 800,
				Message: "errors 0.1% against 0.1% of 800 requests, p99 41ms against 40ms",
			})
		}
		release.Status.Environments = append(release.Status.Environments, in)
	}
	return direct.Status().Update(ctx, release)
}
