package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// annotationArchive tells, on what runs in the local cluster, which build of an image it runs. Tags alone do not: while the
// sources are worked on, a version is built many times.
const annotationArchive = "local.mirubato.com/archive"

// archiveHash names the content of an image's archive.
func (t toolbox) archiveHash(name, version string) (string, error) {
	content, err := os.ReadFile(t.archive(name, version))
	if err != nil {
		return "", fmt.Errorf("reading the image of %s: %w", name, err)
	}
	const digits = 8
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])[:digits], nil
}

func (t toolbox) archive(name, version string) string {
	return filepath.Join(t.local, "images", name+"-"+version+".tar")
}

// restartOperator replaces the operator's pods if their image was built anew under the same tag.
func (t toolbox) restartOperator(ctx context.Context) error {
	hash, err := t.archiveHash("operator", t.version)
	if err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"spec": {"template": {"metadata": {"annotations": {%q: %q}}}}}`, annotationArchive, hash)
	return t.quiet(ctx, "kubectl", "--namespace", "mirubato-system", "patch", "deployment", "mirubato-operator", "--patch", patch)
}

// sampleManifest returns the sample as it is to be applied. A service that has changed since it was released is a new
// release: it gets a tag of its own, so that its migrations run and its pods are replaced.
func (t toolbox) sampleManifest(ctx context.Context, cluster client.Client) (string, error) {
	content, err := os.ReadFile(filepath.Join(t.root, "config", "samples", "microservice.yaml"))
	if err != nil {
		return "", fmt.Errorf("reading the sample: %w", err)
	}
	hash, err := t.archiveHash("scores", t.version)
	if err != nil {
		return "", err
	}
	version, err := t.releaseVersion(ctx, cluster, hash)
	if err != nil {
		return "", err
	}
	const image = "localhost/mirubato/scores:"
	manifest := strings.Replace(string(content), image+t.version, image+version, 1)
	return strings.Replace(manifest, "metadata:\n", fmt.Sprintf("metadata:\n  annotations: {%s: %q}\n", annotationArchive, hash), 1), nil
}

// releaseVersion is the version of the sources, unless something else was released under it already.
func (t toolbox) releaseVersion(ctx context.Context, cluster client.Client, hash string) (string, error) {
	running := &v1alpha1.Microservice{}
	err := cluster.Get(ctx, sample, running)
	if apierrors.IsNotFound(err) {
		return t.version, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the Microservice: %w", err)
	}
	if running.Annotations[annotationArchive] == hash {
		return running.Spec.Image[strings.LastIndexByte(running.Spec.Image, ':')+1:], nil
	}
	version := t.version + "-" + hash
	if err := t.quiet(ctx, "images", "build", "--out", filepath.Join(t.local, "images"), "--version", version, "scores"); err != nil {
		return "", err
	}
	return version, t.quiet(ctx, "localcluster", "load", t.archive("scores", version))
}
