// Package databases runs a PostgreSQL server in the local cluster, with a database for each environment of the sample. It
// owns the server's objects, the databases' names and users, and the file that says how to reach them.
package databases

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/postgres"
	"github.com/mirubato/mirubato/hack/localcluster/manifest"
)

//go:embed manifests
var manifests embed.FS

const (
	namespace = "databases"
	server    = "postgres"
	// secretName is the Secret with the list of databases under secretKey. The server reads it when it starts.
	secretName = "postgres-databases"
	secretKey  = "databases.json"
)

// address is where the server is reached from inside the cluster.
const address = "postgres.databases.svc:5432"

// readyTimeout bounds how long the server may take to make its files and start.
const readyTimeout = 2 * time.Minute

// environments are those of the sample; each has a database.
var environments = []string{"development", "staging", "production"}

// Connection says how to reach the database of an environment, from inside the cluster.
type Connection struct {
	Environment string `json:"environment"`
	// OwnerURL is for migrations, AppURL for the service, which may read and write rows only.
	OwnerURL string `json:"ownerURL"`
	AppURL   string `json:"appURL"`
}

// Ensure brings the server with its databases into the cluster and returns when it answers. image must be loaded; when
// it is another one than before, the server is started anew. Passwords are made the first time and kept in the cluster.
func Ensure(ctx context.Context, c client.Client, image archive.Identity) ([]Connection, error) {
	objects, err := objects(image)
	if err != nil {
		return nil, err
	}
	// The namespace comes first, the Secret next, since the server does not start without it.
	if err := manifest.Apply(ctx, c, objects[:1]); err != nil {
		return nil, err
	}
	databases, err := ensureSecret(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := manifest.Apply(ctx, c, objects[1:]); err != nil {
		return nil, err
	}
	err = manifest.Wait(ctx, readyTimeout, "PostgreSQL", func(ctx context.Context) (bool, error) { return converge(ctx, c) })
	if err != nil {
		return nil, fmt.Errorf("%w; see what it says by: kubectl -n %s logs %s-0", err, namespace, server)
	}
	return connections(databases), nil
}

// objects are the server's, its namespace first.
func objects(image archive.Identity) ([]*unstructured.Unstructured, error) {
	return manifest.Render(manifests, "manifests/*.yaml", map[string]any{
		"Image": image.Name, "Digest": image.Digest, "UID": postgres.UID, "Secret": secretName, "Key": secretKey,
		"Arguments": append(postgres.ServerArguments(), "-c", "shared_buffers=64MB", "-c", "max_connections=400"),
	})
}

// ensureSecret returns the databases that the Secret lists, which it makes if there is none.
func ensureSecret(ctx context.Context, c client.Client) ([]postgres.Database, error) {
	secret := &corev1.Secret{}
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: secretName}, secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the passwords of the databases: %w", err)
	}
	if err == nil {
		var databases []postgres.Database
		if err := json.Unmarshal(secret.Data[secretKey], &databases); err != nil {
			return nil, fmt.Errorf("decoding the passwords of the databases: %w", err)
		}
		return databases, nil
	}
	databases := newDatabases()
	encoded, err := json.Marshal(databases)
	if err != nil {
		return nil, fmt.Errorf("encoding the passwords of the databases: %w", err)
	}
	secret = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName},
		Data:       map[string][]byte{secretKey: encoded},
	}
	if err := c.Create(ctx, secret); err != nil {
		return nil, fmt.Errorf("storing the passwords of the databases: %w", err)
	}
	return databases, nil
}

// newDatabases gives every environment a database with fresh passwords.
func newDatabases() []postgres.Database {
	var databases []postgres.Database
	for _, environment := range environments {
		name := prefix + environment
		databases = append(databases, postgres.Database{
			Name:  name,
			Owner: postgres.Account{Name: name + "_owner", Password: rand.Text()},
			App:   postgres.Account{Name: name + "_app", Password: rand.Text()},
		})
	}
	return databases
}

const prefix = "scores_"

func connections(databases []postgres.Database) []Connection {
	var list []Connection
	for _, d := range databases {
		list = append(list, Connection{
			Environment: strings.TrimPrefix(d.Name, prefix),
			OwnerURL:    connectionURL(d.Name, d.Owner),
			AppURL:      connectionURL(d.Name, d.App),
		})
	}
	return list
}

// connectionURL leaves out TLS in so many words, since what is not said is decided differently by every library.
func connectionURL(database string, account postgres.Account) string {
	location := url.URL{
		Scheme: "postgres", User: url.UserPassword(account.Name, account.Password), Host: address, Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return location.String()
}

// converge tells whether the server is ready, and takes a pod out of the way that stands in it.
func converge(ctx context.Context, c client.Client) (ready bool, err error) {
	var set appsv1.StatefulSet
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: server}, &set); err != nil {
		return false, fmt.Errorf("reading the StatefulSet of PostgreSQL: %w", err)
	}
	var pod corev1.Pod
	err = c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: server + "-0"}, &pod)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the pod of PostgreSQL: %w", err)
	}
	if isStuck(set, pod) {
		if err := c.Delete(ctx, &pod, client.Preconditions{UID: &pod.UID}); client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("replacing a pod of PostgreSQL that does not start: %w", err)
		}
		return false, nil
	}
	return isUpdated(set, pod) && isPodReady(pod), nil
}

// isStuck finds a pod of an earlier revision that is not ready. A StatefulSet waits for it for ever before it starts the
// present one: https://github.com/kubernetes/kubernetes/issues/67250.
func isStuck(set appsv1.StatefulSet, pod corev1.Pod) bool {
	return set.Status.ObservedGeneration == set.Generation && !isUpdated(set, pod) && !isPodReady(pod) &&
		pod.DeletionTimestamp.IsZero()
}

func isUpdated(set appsv1.StatefulSet, pod corev1.Pod) bool {
	return set.Status.ObservedGeneration == set.Generation &&
		pod.Labels[appsv1.ControllerRevisionHashLabelKey] == set.Status.UpdateRevision
}

func isPodReady(pod corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp.IsZero()
		}
	}
	return false
}

// Write stores connections at path, readable by the owner only.
func Write(path string, connections []Connection) error {
	encoded, err := json.MarshalIndent(connections, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the list of databases: %w", err)
	}
	if err := os.WriteFile(path, append(encoded, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the list of databases: %w", err)
	}
	return nil
}
