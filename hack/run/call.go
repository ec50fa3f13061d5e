package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// callTimeout bounds one call of the API.
const callTimeout = 10 * time.Second

// endpoint is how one environment is reached from this machine.
type endpoint struct {
	environment, namespace, address, token string
}

// callAPI creates a score in each environment and reads it back, writes .local/run.env and prints what a user can paste.
func callAPI(ctx context.Context, tools toolbox, cluster client.Client) error {
	endpoints, err := findEndpoints(ctx, tools, cluster)
	if err != nil {
		return err
	}
	if !reachable(ctx, endpoints[0].address) {
		printForwards(endpoints)
		return nil
	}
	fmt.Println("\nCalling the API through the Service of each environment:")
	for _, e := range endpoints {
		release, err := createAndRead(ctx, e)
		if err != nil {
			return fmt.Errorf("calling %s: %w", e.environment, err)
		}
		fmt.Printf("  %-12s POST and GET /api/scores answered by release %s\n", e.environment, release)
	}
	if err := writeEnvironmentFile(tools.local, endpoints); err != nil {
		return err
	}
	printCalls()
	return nil
}

func findEndpoints(ctx context.Context, tools toolbox, cluster client.Client) ([]endpoint, error) {
	ms := &v1alpha1.Microservice{}
	if err := cluster.Get(ctx, sample, ms); err != nil {
		return nil, fmt.Errorf("reading the Microservice: %w", err)
	}
	var out []endpoint
	for _, e := range ms.Spec.Environments {
		service := &corev1.Service{}
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: sample.Name}, service); err != nil {
			return nil, fmt.Errorf("reading the Service of %s: %w", e.Name, err)
		}
		token, err := mintToken(ctx, tools, cluster, ms, e.Namespace)
		if err != nil {
			return nil, fmt.Errorf("making a token for %s: %w", e.Name, err)
		}
		out = append(out, endpoint{
			environment: e.Name,
			namespace:   e.Namespace,
			address:     net.JoinHostPort(service.Spec.ClusterIP, "80"),
			token:       token,
		})
	}
	return out, nil
}

// mintToken has the service's own program sign a token with the environment's secret.
func mintToken(ctx context.Context, tools toolbox, cluster client.Client, ms *v1alpha1.Microservice, namespace string) (string, error) {
	secret := &corev1.Secret{}
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: authSecret}, secret); err != nil {
		return "", fmt.Errorf("reading the signing secret: %w", err)
	}
	command := tools.command(ctx, "scores", "token", "--user", "alice", "--role", "teacher", "--ttl", "12h")
	command.Env = append(command.Env,
		"JWT_SECRET="+string(secret.Data["secret"]),
		"JWT_ISSUER="+*ms.Spec.Auth.Issuer,
		"JWT_AUDIENCE="+*ms.Spec.Auth.Audience)
	return tools.output(command)
}

// reachable tells whether the cluster's Services can be called from this machine. Those of kind cannot.
func reachable(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return connection.Close() == nil
}

// createAndRead stores a score and reads it back. It returns the release that answered.
func createAndRead(ctx context.Context, e endpoint) (release string, err error) {
	const body = `{"title":"Gymnopédie No. 1","composer":"Erik Satie","visibility":"public"}`
	response, err := call(ctx, e, http.MethodPost, "/api/scores", body)
	if err != nil {
		return "", err
	}
	var created struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(response.body, &created); err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	if response, err = call(ctx, e, http.MethodGet, "/api/scores/"+created.Data.ID, ""); err != nil {
		return "", err
	}
	if !bytes.Contains(response.body, []byte("Satie")) {
		return "", fmt.Errorf("the score that was stored is not the one that was read: %s", response.body)
	}
	// Only the sample's own traces are left out of the catalogue.
	_, err = call(ctx, e, http.MethodDelete, "/api/scores/"+created.Data.ID, "")
	return response.release, err
}

type answer struct {
	release string
	body    []byte
}

func call(ctx context.Context, e endpoint, method, path, body string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+e.address+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+e.token)
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return answer{}, fmt.Errorf("%s %s answered %s: %s", method, path, response.Status, content)
	}
	return answer{release: response.Header.Get("X-Release"), body: content}, nil
}

// writeEnvironmentFile leaves addresses and tokens for the user's shell. Only the user may read it.
func writeEnvironmentFile(local string, endpoints []endpoint) error {
	var lines strings.Builder
	for _, e := range endpoints {
		name := strings.ToUpper(strings.ReplaceAll(e.environment, "-", "_"))
		fmt.Fprintf(&lines, "API_%s=http://%s\nTOKEN_%s=%s\n", name, strings.TrimSuffix(e.address, ":80"), name, e.token)
	}
	if err := os.WriteFile(filepath.Join(local, "run.env"), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("writing the addresses: %w", err)
	}
	return nil
}

func printCalls() {
	fmt.Print(`
Try it yourself:

  source .local/run.env
  curl -i $API_STAGING/api/scores
  curl -i $API_PRODUCTION/api/scores -H "Authorization: Bearer $TOKEN_PRODUCTION" \
    -H 'Content-Type: application/json' -d '{"title": "Für Elise", "composer": "Ludwig van Beethoven", "visibility": "public"}'

Watch it, and change something:

  export KUBECONFIG=$PWD/.local/kubeconfig PATH=$PWD/.local/bin:$PATH
  kubectl get microservices --all-namespaces --watch
  kubectl --namespace mirubato patch microservice scores --type merge --patch '{"spec": {"settings": {"logging": {"level": "debug"}}}}'

`)
}

func printForwards(endpoints []endpoint) {
	fmt.Print("\nThe Services of this cluster are not reachable from outside; forward a port for each:\n\n")
	const first = 8081
	for i, e := range endpoints {
		fmt.Printf("  kubectl --namespace %s port-forward service/scores %d:80 &\n", e.namespace, first+i)
	}
	fmt.Printf("  curl -i http://127.0.0.1:%d/api/scores\n\n", first)
}
