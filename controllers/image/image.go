// Package image asks registries which digest a tag stands for, once, when a release is cut: a tag may be moved later, and
// then two pods of one release would run different programs.
//
// It owns the question and the words for what can go wrong with it. It reads no Secrets: the caller hands it those that the
// Microservice names. What it answers is for the caller to keep.
package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	corev1 "k8s.io/api/core/v1"
)

const (
	defaultTimeout = 10 * time.Second
	// onNodes begins references of images that exist only where pods run, put there without a registry.
	onNodes = "localhost/"
)

// Resolver asks registries. Its zero value can be used, and by several goroutines at once.
type Resolver struct {
	// Timeout of one question, with all requests that it takes. Default: 10s.
	Timeout time.Duration
	// Transport of the requests. Default: http.DefaultTransport, which honours HTTPS_PROXY and the like.
	Transport http.RoundTripper
}

// Resolve returns the reference with the digest that its tag stands for, such as registry.example.com/scores:1.4.0@sha256:....
// For an image of several platforms it is the digest of the index. A reference with a digest is returned as it is, without a
// question, and so is one that begins with localhost/ and no port: such an image exists only on nodes, and nothing but its tag
// tells one from another. keychain may be nil.
//
// The error is always an *Error. Nothing is tried twice: the caller knows when to ask again. Registries on loopback and private
// addresses are asked by http where https is not spoken.
func (r Resolver) Resolve(ctx context.Context, reference string, keychain authn.Keychain) (string, error) {
	if strings.HasPrefix(reference, onNodes) || strings.Contains(reference, "@sha256:") {
		return reference, nil
	}
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return "", &Error{Kind: Invalid, Image: reference, Cause: "this is not the name of an image", Fix: "correct spec.image", Err: err}
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	digest, err := r.digest(ctx, parsed, keychain)
	if err != nil {
		return "", explain(reference, parsed.Context().RegistryStr(), timeout, keychain != nil, err)
	}
	return reference + "@" + digest, nil
}

func (r Resolver) digest(ctx context.Context, reference name.Reference, keychain authn.Keychain) (string, error) {
	options := []remote.Option{
		remote.WithContext(ctx),
		remote.WithUserAgent("mirubato-operator"),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	}
	if keychain != nil {
		options = append(options, remote.WithAuthFromKeychain(keychain))
	}
	if r.Transport != nil {
		options = append(options, remote.WithTransport(r.Transport))
	}
	described, err := remote.Head(reference, options...)
	if err == nil {
		return described.Digest.String(), nil
	}
	if !isIncomplete(err) {
		return "", err
	}
	manifest, err := remote.Get(reference, options...)
	if err != nil {
		return "", err
	}
	if !manifest.MediaType.IsImage() && !manifest.MediaType.IsIndex() {
		return "", fmt.Errorf("the answer is no manifest but %q", manifest.MediaType)
	}
	return manifest.Digest.String(), nil
}

// isIncomplete reports whether a registry answered HEAD, but not with all that the OCI distribution specification asks for. It
// may still hand out the manifest, whose digest can then be reckoned.
func isIncomplete(err error) bool {
	var status *transport.Error
	if errors.As(err, &status) {
		return status.StatusCode == http.StatusMethodNotAllowed
	}
	var network *url.Error
	return !errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// Keychain reads pull secrets, of the types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg. Of several entries
// that fit an image, the one with the longest name is used. It is nil if there are no secrets. The error names the Secret and
// tells nothing of what is in it.
func Keychain(ctx context.Context, secrets []corev1.Secret) (authn.Keychain, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	for _, secret := range secrets {
		if secret.Type != corev1.SecretTypeDockerConfigJson && secret.Type != corev1.SecretTypeDockercfg {
			return nil, fmt.Errorf("the pull secret %s is of the type %q: make it with kubectl create secret docker-registry", secret.Name, secret.Type)
		}
		if _, err := kubernetes.NewFromPullSecrets(ctx, []corev1.Secret{secret}); err != nil {
			return nil, fmt.Errorf("the pull secret %s cannot be read: make it with kubectl create secret docker-registry", secret.Name)
		}
	}
	return kubernetes.NewFromPullSecrets(ctx, secrets)
}
