//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// apiServer is asked directly for what is looked at many times: a program started for each look keeps one of two cores busy, and then
// takes from the rollouts what it waits for.
type apiServer struct {
	client *http.Client
	host   string
}

func openAPIServer(kubeconfig string) (apiServer, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return apiServer{}, err
	}
	client, err := rest.HTTPClientFor(config)
	return apiServer{client: client, host: strings.TrimSuffix(config.Host, "/")}, err
}

// microservice reads the one of a scenario.
func (a apiServer) microservice(ctx context.Context, namespace string) (state, error) {
	var out state
	url := a.host + "/apis/platform.mirubato.com/v1alpha1/namespaces/" + namespace + "/microservices/scores"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return out, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return out, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return out, err
	}
	if response.StatusCode != http.StatusOK {
		return out, fmt.Errorf("the API server answers %s: %s", response.Status, content)
	}
	return out, json.Unmarshal(content, &out)
}
