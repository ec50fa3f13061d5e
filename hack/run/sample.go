package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/hack/localcluster/progress"
)

// sample is the Microservice of config/samples.
var sample = client.ObjectKey{Namespace: "mirubato", Name: "scores"}

// patience bounds the way of the sample through its environments. It takes well under a minute; a machine that is busy with
// something else may need more.
const patience = 10 * time.Minute

func connect(kubeconfig string) (client.Client, error) {
	log.SetLogger(logr.Discard()) // what matters is returned
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(types); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: types})
}

// applySample applies config/samples and shows how the environments move. It returns the time from the one to the end of
// the other.
func applySample(ctx context.Context, tools toolbox, cluster client.Client, report *progress.Reporter) (time.Duration, error) {
	samples := filepath.Join("config", "samples")
	err := report.Step("creating the namespaces and their Secrets", func() error {
		if err := tools.quiet(ctx, "kubectl", "apply", "--server-side", "--filename", filepath.Join(samples, "namespaces.yaml")); err != nil {
			return err
		}
		return tools.createSecrets(ctx, cluster)
	})
	if err != nil {
		return 0, err
	}
	manifest, err := tools.sampleManifest(ctx, cluster)
	if err != nil {
		return 0, err
	}
	started := time.Now()
	err = report.Step("applying "+filepath.Join(samples, "microservice.yaml"), func() error {
		return tools.apply(ctx, manifest)
	})
	if err != nil {
		return 0, err
	}
	err = watch(ctx, cluster, func(line string) {
		fmt.Printf("%6.1f s  %s\n", time.Since(started).Seconds(), line)
	})
	return time.Since(started), err
}

// database is one entry of the file that localcluster databases writes.
type database struct {
	Environment string `json:"environment"`
	OwnerURL    string `json:"ownerURL"`
	AppURL      string `json:"appURL"`
}

// createSecrets gives each environment its connection URLs, a signing secret and a keyset. Secrets that exist are kept, but for the
// URLs, which belong to the present databases.
func (t toolbox) createSecrets(ctx context.Context, cluster client.Client) error {
	encoded, err := os.ReadFile(filepath.Join(t.local, "databases.json"))
	if err != nil {
		return fmt.Errorf("reading the databases: %w", err)
	}
	var databases []database
	if err := json.Unmarshal(encoded, &databases); err != nil {
		return fmt.Errorf("reading the databases: %w", err)
	}
	for _, d := range databases {
		namespace := "scores-" + d.Environment
		for name, url := range map[string]string{"scores-database": d.AppURL, "scores-database-owner": d.OwnerURL} {
			if err := putSecret(ctx, cluster, namespace, name, map[string]string{"url": url}); err != nil {
				return err
			}
		}
		if err := t.makeSecrets(ctx, cluster, namespace); err != nil {
			return err
		}
	}
	return nil
}

// makeSecrets makes the Secrets that must stay what they are, because tokens and notes depend on them.
func (t toolbox) makeSecrets(ctx context.Context, cluster client.Client, namespace string) error {
	keyset, err := t.output(t.command(ctx, "scores", "notes", "keyset", "new"))
	if err != nil {
		return fmt.Errorf("making a keyset for private notes: %w", err)
	}
	for name, data := range map[string]map[string]string{
		authSecret:     {"secret": randomSecret()},
		"scores-notes": {"keyset.json": keyset},
	} {
		err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Secret{})
		if apierrors.IsNotFound(err) {
			err = putSecret(ctx, cluster, namespace, name, data)
		}
		if err != nil {
			return fmt.Errorf("creating Secret %s/%s: %w", namespace, name, err)
		}
	}
	return nil
}

// authSecret holds the signing secret under the key secret.
const authSecret = "scores-auth"

// randomSecret returns 256 random bits as text.
func randomSecret() string {
	const size = 32
	secret := make([]byte, size)
	_, _ = rand.Read(secret) // never fails; see its documentation
	return base64.RawURLEncoding.EncodeToString(secret)
}

func putSecret(ctx context.Context, cluster client.Client, namespace, name string, data map[string]string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := cluster.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading Secret %s/%s: %w", namespace, name, err)
	}
	secret.StringData = data
	if err != nil {
		err = cluster.Create(ctx, secret)
	} else {
		err = cluster.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("writing Secret %s/%s: %w", namespace, name, err)
	}
	return nil
}

// watch tells each change of the summary, and what is waited for if it is not mere time, until the sample is ready.
func watch(ctx context.Context, cluster client.Client, tell func(string)) error {
	const interval = 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	told := ""
	for {
		ms := &v1alpha1.Microservice{}
		if err := cluster.Get(ctx, sample, ms); err != nil {
			return fmt.Errorf("reading the Microservice: %w", err)
		}
		observed := ms.Status.ObservedGeneration == ms.Generation
		if line := progressLine(ms); observed && line != told {
			tell(line)
			told = line
		}
		if observed && meta.IsStatusConditionTrue(ms.Status.Conditions, v1alpha1.ConditionReady) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the sample is not ready: %s\nsee kubectl describe microservice --namespace %s %s", told, sample.Namespace, sample.Name)
		case <-time.After(interval):
		}
	}
}

// progressLine is the summary, and on a line of its own what a person has to mend.
func progressLine(ms *v1alpha1.Microservice) string {
	line := ms.Status.Summary
	for _, e := range ms.Status.Environments {
		if waiting := e.WaitingFor; waiting != nil && waiting.Unblock != "" {
			line += fmt.Sprintf("\n          %s: %s\n          to go on: %s", e.Name, waiting.Message, waiting.Unblock)
		}
	}
	return line
}
