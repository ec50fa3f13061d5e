//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/util/wait"
)

// callTimeout bounds one call of an API.
const callTimeout = 10 * time.Second

// world is the Microservice of one scenario and the environments that it may live in.
type world struct {
	namespace    string
	environments []string
	secret       string
	// created is the ID of the last object that was made by a call.
	created string
	load    *load
	// generations are watched, and pods killed, while these are set.
	generations *generations
	killings    *killings
	// changes counts those of the settings.
	changes int
}

// of returns the namespace of an environment.
func (w *world) of(environment string) string { return w.namespace + "-" + environment }

// makeEnvironments makes everything that a Microservice called scores needs, and removes it after the scenario.
func makeEnvironments(ts *testscript.TestScript, args []string) error {
	w := worldOf(ts)
	w.namespace, w.environments = "e2e-"+ts.Name(), args
	w.secret = "a signing secret for scenarios, long enough"
	ts.Setenv("NS", w.namespace)
	ts.Defer(func() {
		if w.killings != nil {
			w.killings.stop()
		}
		if w.generations != nil {
			w.generations.cancel()
		}
		if w.load != nil {
			w.load.stop()
		}
		if err := w.remove(context.Background()); err != nil {
			ts.Logf("removing the scenario's namespaces: %v", err)
		}
	})
	ctx := context.Background()
	if err := w.remove(ctx); err != nil { // what a killed run left
		return err
	}
	keyset, err := suite.tools.run(ctx, "scores", "notes", "keyset", "new")
	if err != nil {
		return err
	}
	var manifest strings.Builder
	fmt.Fprintf(&manifest, "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", w.namespace)
	for _, environment := range args {
		database, err := suite.databases.create(ctx, strings.ReplaceAll(w.of(environment), "-", "_"))
		if err != nil {
			return err
		}
		fmt.Fprintf(&manifest, environmentManifest, w.of(environment), w.namespace, w.secret, database.app, database.owner, keyset)
	}
	file := ts.MkAbs("environments.yaml")
	if err := os.WriteFile(file, []byte(manifest.String()), 0o600); err != nil {
		return err
	}
	_, err = suite.tools.run(ctx, "kubectl", "apply", "--filename", file)
	return err
}

const environmentManifest = `---
apiVersion: v1
kind: Namespace
metadata:
  name: %[1]s
  labels:
    consent.platform.mirubato.com/%[2]s.scores: "true"
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: Secret
metadata: {name: scores-auth, namespace: %[1]s}
stringData: {secret: %[3]q}
---
apiVersion: v1
kind: Secret
metadata: {name: scores-database, namespace: %[1]s}
stringData: {url: %[4]q}
---
apiVersion: v1
kind: Secret
metadata: {name: scores-database-owner, namespace: %[1]s}
stringData: {url: %[5]q}
---
apiVersion: v1
kind: Secret
metadata: {name: scores-notes, namespace: %[1]s}
stringData: {keyset.json: %[6]q}
`

func (w *world) remove(ctx context.Context) error {
	_, err := suite.tools.run(ctx, "kubectl", "delete", "microservices", "--all", "--namespace", w.namespace, "--ignore-not-found", "--timeout", "2m")
	namespaces := []string{"delete", "namespaces", "--ignore-not-found", "--wait=true", "--timeout", "2m", w.namespace}
	for _, environment := range w.environments {
		namespaces = append(namespaces, w.of(environment))
	}
	_, nerr := suite.tools.run(ctx, "kubectl", namespaces...)
	err = errors.Join(err, nerr)
	for _, environment := range w.environments {
		err = errors.Join(err, suite.databases.drop(ctx, strings.ReplaceAll(w.of(environment), "-", "_")))
	}
	return err
}

// state is the part of the Microservice that scenarios look at.
type state struct {
	Metadata struct {
		Generation int64 `json:"generation"`
	} `json:"metadata"`
	Status struct {
		ObservedGeneration int64           `json:"observedGeneration"`
		Summary            string          `json:"summary"`
		Environments       json.RawMessage `json:"environments"`
		Conditions         []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

func (s state) ready() bool {
	for _, condition := range s.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}

// await polls the Microservice until its status, if it is one of the present spec, satisfies the condition.
func (w *world) await(limit time.Duration, satisfied func(summary string, ready bool) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var last state
	for {
		if now, err := suite.apiServer.microservice(ctx, w.namespace); err == nil {
			last = now
			if last.Status.ObservedGeneration == last.Metadata.Generation && satisfied(last.Status.Summary, last.ready()) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s; the summary is %q, the environments are %s", limit, last.Status.Summary, last.Status.Environments)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// versions lists the resource versions of the Microservice and of everything that was made for it.
func (w *world) versions() (string, error) {
	const columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name,VERSION:.metadata.resourceVersion"
	ctx := context.Background()
	own, err := suite.tools.run(ctx, "kubectl", "--namespace", w.namespace, "get", "microservices", "--output", columns)
	if err != nil {
		return "", err
	}
	children, err := suite.tools.run(ctx, "kubectl", "get", "deployments,jobs,configmaps,services,serviceaccounts,poddisruptionbudgets",
		"--all-namespaces", "--selector", "platform.mirubato.com/microservice-namespace="+w.namespace, "--output", columns)
	return own + "\n" + children, err
}

// address returns where the Service of an environment answers.
func (w *world) address(ctx context.Context, environment string) (string, error) {
	ip, err := suite.tools.run(ctx, "kubectl", "--namespace", w.of(environment), "get", "service", "scores", "--output", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return "", err
	}
	return "http://" + net.JoinHostPort(ip, "80"), nil
}

// reach returns the address once it takes connections, which it must within callTimeout.
func (w *world) reach(ctx context.Context, environment string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	address, err := w.address(ctx, environment)
	if err != nil {
		return "", err
	}
	if err := awaitListener(ctx, strings.TrimPrefix(address, "http://")); err != nil {
		return "", fmt.Errorf("%s takes no connections at %s: %w", environment, address, err)
	}
	return address, nil
}

// token lets the service's own program sign a token for a user.
func (w *world) token(ctx context.Context, user, role string) (string, error) {
	return suite.tools.runWith(ctx, []string{"JWT_SECRET=" + w.secret, "JWT_ISSUER=mirubato", "JWT_AUDIENCE=scores"},
		"scores", "token", "--user", user, "--role", role, "--ttl", "1h")
}

// callREST is the command rest.
func callREST(ts *testscript.TestScript, args []string) error {
	environment, method, target, status := args[0], args[1], args[2], args[3]
	var body []byte
	if len(args) > 4 {
		var err error
		if body, err = os.ReadFile(ts.MkAbs(args[4])); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	w := worldOf(ts)
	address, err := w.reach(ctx, environment)
	if err != nil {
		return err
	}
	token, err := w.token(ctx, "alice", "user")
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, address+strings.ReplaceAll(target, "{id}", w.created), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	fmt.Fprintf(ts.Stdout(), "X-Release: %s\nLocation: %s\n%s\n", response.Header.Get("X-Release"), response.Header.Get("Location"), content)
	if got := fmt.Sprint(response.StatusCode); got != status {
		return fmt.Errorf("%s %s answered %s, want %s: %s", method, target, got, status, content)
	}
	if response.StatusCode == http.StatusCreated {
		w.created = path.Base(response.Header.Get("Location"))
	}
	return nil
}

// awaitListener waits until an address takes connections. A Service is there before every node has heard of it.
func awaitListener(ctx context.Context, address string) error {
	return wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			err = connection.Close()
		}
		return err == nil, nil
	})
}

// awaitDrained is the command await-drained.
func awaitDrained(ts *testscript.TestScript, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return wait.PollUntilContextCancel(ctx, 500*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		leaving, err := suite.tools.run(ctx, "kubectl", "--namespace", worldOf(ts).of(args[0]), "get", "pods",
			"--output", "jsonpath={.items[?(@.metadata.deletionTimestamp)].metadata.name}")
		return leaving == "", err
	})
}

// largestResident reads from the metrics of pods how much memory their processes hold.
func largestResident(ctx context.Context, namespace, selector, port string) (int64, error) {
	ips, err := suite.tools.run(ctx, "kubectl", "--namespace", namespace, "get", "pods", "--selector", selector,
		"--field-selector", "status.phase=Running", "--output", "jsonpath={.items[*].status.podIP}")
	if err != nil {
		return 0, err
	}
	var largest float64
	for _, ip := range strings.Fields(ips) {
		resident, err := residentOf(ctx, "http://"+net.JoinHostPort(ip, port)+"/metrics")
		if err != nil {
			return 0, err
		}
		largest = max(largest, resident)
	}
	if largest == 0 {
		return 0, fmt.Errorf("no pod of %s in %s tells its memory", selector, namespace)
	}
	return int64(largest), nil
}

func residentOf(ctx context.Context, url string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		var value float64
		if _, err := fmt.Sscanf(line, "process_resident_memory_bytes %g", &value); err == nil {
			return value, nil
		}
	}
	return 0, fmt.Errorf("%s has no process_resident_memory_bytes", url)
}
