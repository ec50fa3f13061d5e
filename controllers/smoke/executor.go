package smoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// passBudget is after how long no further test is begun in one pass: it is made in the next one. With the longest timeout of
// a request, it bounds how long a pass can take.
const passBudget = 5 * time.Second

// Executor makes attempts. It may be used by many goroutines.
type Executor struct {
	// Client and Endpoints reach the pods.
	Client    *podclient.Client
	Endpoints podclient.Endpoints
	// Reader reads Secrets from the API server; their values are held no longer than an attempt. Writer makes Jobs.
	Reader client.Reader
	Writer client.Writer
	// Now tells the time.
	Now func() time.Time
}

// Attempt makes one attempt at each test of a run that is due, and returns what is to be recorded. An attempt by requests
// has ended when it returns; one by a Job has begun. What was found out counts although there is an error.
//
// Attempting twice what was recorded once costs an attempt by requests, which may be lost or doubled when the operator ends
// before it records; Jobs have names, and are made once.
func (e *Executor) Attempt(ctx context.Context, run Run, observed Observed) ([]v1alpha1.SmokeResult, error) {
	results := run.Results(observed)
	begun := e.Now()
	var failures []error
	for _, p := range run.progress(observed) {
		if !p.open() || observed.Now.Before(p.due(observed.Now)) || ctx.Err() != nil {
			continue
		}
		if p.Job != nil {
			failures = append(failures, e.start(ctx, run, p))
			continue
		}
		if e.Now().Sub(begun) >= passBudget {
			continue
		}
		message, err := e.request(ctx, run, p, observed.Pods)
		if err != nil {
			failures = append(failures, fmt.Errorf("making smoke test %s: %w", p.Name, err))
			continue
		}
		p.attempts, p.message, p.ended = p.attempts+1, message, e.Now()
		p.state = stateAfter(message == "", p.attempts, p.test.attempts)
		results = put(results, run.result(p, nil))
	}
	return results, errors.Join(append(failures, ctx.Err())...)
}

func (e *Executor) start(ctx context.Context, run Run, p progress) error {
	job, err := run.job(p.test, p.attempts+1)
	if err != nil {
		return err
	}
	_, err = manifest.Apply(ctx, e.Writer, job)
	return err
}

// request asks the pods and returns what was wrong; empty if nothing was. An error is no fault of the pods.
func (e *Executor) request(ctx context.Context, run Run, p progress, pods []corev1.Pod) (string, error) {
	if _, err := parse(p.HTTP.JSONPath); err != nil {
		return clip(fmt.Sprintf("jsonPath is not valid: %s", err)), nil
	}
	header, err := e.header(ctx, run.subject.Namespace, p.HTTP)
	if err != nil {
		return "", err
	}
	q := question{
		client: e.Client, endpoints: e.Endpoints, test: p.HTTP, header: header,
		release: run.subject.Release, timeout: p.timeout,
	}
	return q.ask(ctx, run.targets(pods))
}

// header returns what is sent with the requests of a test. Without its Secret no attempt is made: see MissingSecret.
func (e *Executor) header(ctx context.Context, namespace string, test *v1alpha1.HTTPTest) (http.Header, error) {
	header := http.Header{}
	if test.Body != "" {
		header.Set("Content-Type", "application/json")
	}
	if test.HeadersFrom == "" {
		return header, nil
	}
	secret := &corev1.Secret{}
	if err := e.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: test.HeadersFrom}, secret); err != nil {
		return nil, fmt.Errorf("reading Secret %s/%s: %w", namespace, test.HeadersFrom, err)
	}
	for name, value := range secret.Data {
		// A file that a Secret is made from mostly ends in a newline, which no header may hold.
		header.Set(name, strings.TrimSpace(string(value)))
	}
	return header, nil
}

// MissingSecret returns what is waited for because a Secret with headers does not exist; nil if all do. No value is read.
func (e *Executor) MissingSecret(ctx context.Context, namespace string, tests []v1alpha1.SmokeTest) (*v1alpha1.WaitingFor, error) {
	for _, name := range Secrets(tests) {
		secret := &metav1.PartialObjectMetadata{}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		err := e.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
		if apierrors.IsNotFound(err) {
			return &v1alpha1.WaitingFor{
				Type:    v1alpha1.WaitSecret,
				Message: fmt.Sprintf("Secret %s does not exist in namespace %s (http.headersFrom of a smoke test)", name, namespace),
				Unblock: "create it with a key for each header",
			}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("looking for Secret %s/%s: %w", namespace, name, err)
		}
	}
	return nil, nil //nolint:nilnil // nothing is waited for, and that is no error
}

// targets are the pods that are asked. Those that are not ready or are leaving get no requests from anybody.
func (r Run) targets(pods []corev1.Pod) []podclient.Pod {
	component := ownership.ComponentAPI
	if r.subject.Target == v1alpha1.SmokeCanary {
		component = ownership.ComponentCanary
	}
	var out []podclient.Pod
	for i := range pods {
		pod := &pods[i]
		ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if ready && pod.DeletionTimestamp == nil && ownership.ComponentOf(pod.Labels) == component {
			out = append(out, podclient.Pod{Name: pod.Name, UID: string(pod.UID), IP: pod.Status.PodIP})
		}
	}
	return out
}

// put replaces a result, or adds it.
func put(results []v1alpha1.SmokeResult, result v1alpha1.SmokeResult) []v1alpha1.SmokeResult {
	if last := find(results, result.Target, result.Name); last != nil {
		*last = result
		return results
	}
	return append(results, result)
}

// Problem returns what is wrong with the tests as they are written, before any of them is made; nil if nothing is.
func Problem(tests []v1alpha1.SmokeTest) *v1alpha1.WaitingFor {
	for _, t := range tests {
		if t.HTTP == nil {
			continue
		}
		if _, err := parse(t.HTTP.JSONPath); err != nil {
			return &v1alpha1.WaitingFor{
				Type:    v1alpha1.WaitSmokeTest,
				Message: clip(fmt.Sprintf("jsonPath of smoke test %s is not valid: %s", t.Name, err)),
				Unblock: "correct it; its syntax is that of kubectl, such as {.data.status}",
			}
		}
	}
	return nil
}
