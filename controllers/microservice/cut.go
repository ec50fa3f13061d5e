package microservice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/image"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// keptReleases is how many releases of a Microservice are kept, besides those that are in use.
const keptReleases = 10

// cut returns the release that the spec asks for, and makes it if there is none of this content yet. If the registry does not
// say what the image stands for, it returns the release that was asked for before, nil if there was none, and what to wait for.
func (r *Reconciler) cut(ctx context.Context, ms *v1alpha1.Microservice, sites *sites, releases []v1alpha1.Release) (*v1alpha1.Release, *v1alpha1.WaitingFor, error) {
	current := named(releases, ms.Status.Release)
	if current != nil {
		if hash, err := contentHash(contentOf(ms, current.Spec.Image)); err != nil || hash == current.Spec.ContentHash {
			return current, nil, err // the common case: the registry is not asked
		}
	}
	image, waiting, err := r.resolve(ctx, ms, sites)
	if err != nil || waiting != nil {
		return current, waiting, err
	}
	content := contentOf(ms, image)
	if content.ContentHash, err = contentHash(content); err != nil {
		return nil, nil, err
	}
	for i := range releases {
		if releases[i].Spec.ContentHash == content.ContentHash && releases[i].DeletionTimestamp == nil {
			return &releases[i], nil, nil
		}
	}
	out := newRelease(ms, content, releases)
	// If the cache has not heard of it yet, the name is taken, and the next pass finds it.
	if err := r.Client.Create(ctx, out); err != nil {
		return nil, nil, fmt.Errorf("making release %s: %w", out.Name, err)
	}
	r.records.remember(client.ObjectKeyFromObject(ms), out) // nobody has recorded anything of it
	return out, nil, nil
}

// resolve returns the spec's image with the digest that its tag stands for now, or what keeps the registry from telling.
func (r *Reconciler) resolve(ctx context.Context, ms *v1alpha1.Microservice, sites *sites) (string, *v1alpha1.WaitingFor, error) {
	secrets, waiting, err := r.pullSecrets(ctx, ms, sites)
	if err != nil || waiting != nil {
		return "", waiting, err
	}
	keychain, err := image.Keychain(ctx, secrets)
	if err != nil {
		return "", &v1alpha1.WaitingFor{Type: v1alpha1.WaitRegistry, Message: err.Error(), Unblock: "correct the Secret"}, nil //nolint:nilerr // a person has to mend it, and is told
	}
	resolved, err := r.Images.Resolve(ctx, ms.Spec.Image, keychain)
	var problem *image.Error
	if errors.As(err, &problem) {
		return "", problem.Waiting(), nil
	}
	return resolved, nil, err
}

// pullSecrets reads the Secrets with which images are pulled, where the first environment is.
func (r *Reconciler) pullSecrets(ctx context.Context, ms *v1alpha1.Microservice, sites *sites) ([]corev1.Secret, *v1alpha1.WaitingFor, error) {
	if len(ms.Spec.Workload.ImagePullSecrets) == 0 {
		return nil, nil, nil
	}
	first := &ms.Spec.Environments[0]
	cluster, away := sites.of(clusterOf(ms, first))
	if away != nil {
		return nil, away, nil
	}
	if !r.looksAfter(cluster, first.Namespace) {
		return nil, environment.Outside(first.Namespace), nil
	}
	var out []corev1.Secret
	for _, name := range ms.Spec.Workload.ImagePullSecrets {
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: first.Namespace, Name: name}
		err := cluster.Live.Get(ctx, key, secret)
		if trouble := clusters.Trouble(err); trouble != nil && !cluster.Key.Own() {
			return nil, trouble.WaitingFor(cluster.Key), nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, nil, fmt.Errorf("reading Secret %s: %w", key, err)
		}
		if err == nil {
			out = append(out, *secret)
		}
	}
	return out, nil, nil
}

// contentOf is the release that the spec stands for, but for what names it.
func contentOf(ms *v1alpha1.Microservice, image string) v1alpha1.ReleaseSpec {
	out := v1alpha1.ReleaseSpec{
		Microservice:  ms.Name,
		Reference:     ms.Spec.Image,
		Version:       versionOf(ms.Spec.Image),
		Image:         image,
		Workload:      *ms.Spec.Workload.DeepCopy(),
		Auth:          ms.Spec.Auth.DeepCopy(),
		Database:      ms.Spec.Database.DeepCopy(),
		Storage:       ms.Spec.Storage.DeepCopy(),
		NetworkPolicy: ms.Spec.NetworkPolicy.DeepCopy(),
		Settings:      ms.Spec.Settings.DeepCopy(),
	}
	out.Workload.Replicas, out.Workload.Autoscaling = nil, nil
	for _, environment := range ms.Spec.Environments {
		if environment.Overrides == nil {
			continue
		}
		overrides := *environment.Overrides.DeepCopy()
		if overrides.Workload != nil {
			overrides.Workload.Replicas, overrides.Workload.Autoscaling = nil, nil
		}
		if overrides.Workload != nil && equal(*overrides.Workload, v1alpha1.WorkloadSpec{}) {
			overrides.Workload = nil
		}
		if !equal(overrides, v1alpha1.EnvironmentOverrides{}) {
			out.Overrides = append(out.Overrides, v1alpha1.ReleaseOverrides{Environment: environment.Name, EnvironmentOverrides: overrides})
		}
	}
	// Another order of the environments is no other content.
	slices.SortFunc(out.Overrides, func(a, b v1alpha1.ReleaseOverrides) int { return strings.Compare(a.Environment, b.Environment) })
	return out
}

// contentHash leaves out who wrote it and which number it got.
func contentHash(content v1alpha1.ReleaseSpec) (string, error) {
	content.Number, content.Author, content.ContentHash = 0, "", ""
	return manifest.Hash(content)
}

// versionOf is the tag of an image, or the first digits of its digest.
func versionOf(image string) string {
	const digits = 12
	name, digest, hasDigest := strings.Cut(image, "@sha256:")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[i+1:]
	}
	if hasDigest {
		return "sha256-" + digest[:min(digits, len(digest))]
	}
	return "latest" // unreachable: the API server asks for a tag or a digest
}

func newRelease(ms *v1alpha1.Microservice, content v1alpha1.ReleaseSpec, releases []v1alpha1.Release) *v1alpha1.Release {
	content.Number = 1
	for i := range releases {
		content.Number = max(content.Number, releases[i].Spec.Number+1)
	}
	content.Author = ms.Annotations[v1alpha1.AnnotationAuthor]
	return &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       ms.Namespace,
			Name:            fmt.Sprintf("%s-%d", ms.Name, content.Number),
			Labels:          ownership.ByMicroservice(client.ObjectKeyFromObject(ms)),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ms, v1alpha1.GroupVersion.WithKind("Microservice"))},
		},
		Spec: content,
	}
}

// surplus returns the oldest releases beyond keptReleases, but for those that an environment runs or may go back to.
func surplus(releases []v1alpha1.Release, inUse map[string]bool) []client.Object {
	ordered := slices.SortedFunc(slices.Values(releases), func(a, b v1alpha1.Release) int { return cmp.Compare(b.Spec.Number, a.Spec.Number) })
	var out []client.Object
	for i := range ordered {
		if i >= keptReleases && !inUse[ordered[i].Name] && ordered[i].DeletionTimestamp == nil {
			out = append(out, &ordered[i])
		}
	}
	return out
}

func named(releases []v1alpha1.Release, name string) *v1alpha1.Release {
	for i := range releases {
		if releases[i].Name == name && name != "" {
			return &releases[i]
		}
	}
	return nil
}

// verifiedLast returns the release that an environment has verified last, or nil.
func verifiedLast(releases []v1alpha1.Release, environment string) *v1alpha1.Release {
	var out *v1alpha1.Release
	var at metav1.Time
	for i := range releases {
		record := recordOf(&releases[i], environment)
		if record.VerifiedAt == nil || out != nil && !at.Before(record.VerifiedAt) {
			continue
		}
		out, at = &releases[i], *record.VerifiedAt
	}
	return out
}

// goesBackTo names the two releases that an environment has verified last: the one that it returns to if the next one fails,
// and the one that a person returns to who finds that this one does.
func goesBackTo(releases []v1alpha1.Release, environment string) []string {
	var names []string
	for range 2 {
		last := verifiedLast(releases, environment)
		if last == nil {
			break
		}
		names = append(names, last.Name)
		releases = slices.DeleteFunc(slices.Clone(releases), func(r v1alpha1.Release) bool { return r.Name == last.Name })
	}
	return names
}

// recordOf returns what was recorded of a release in an environment.
func recordOf(release *v1alpha1.Release, environment string) v1alpha1.ReleaseEnvironmentStatus {
	for i := range release.Status.Environments {
		if release.Status.Environments[i].Name == environment {
			return *release.Status.Environments[i].DeepCopy()
		}
	}
	return v1alpha1.ReleaseEnvironmentStatus{Name: environment}
}
