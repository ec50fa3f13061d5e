package image_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/controllers/image"
)

// patient is a resolver that a busy machine does not hurry.
var patient = image.Resolver{Timeout: time.Minute}

// newRegistry serves an empty registry on loopback, behind what the caller puts before it, and returns its host.
func newRegistry(t testing.TB, before func(http.Handler) http.Handler) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if before != nil {
		handler = before(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push makes an image up and returns its digest.
func push(t testing.TB, reference string, options ...remote.Option) string {
	t.Helper()
	made, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parsed, made, append(options, remote.WithContext(t.Context()))...); err != nil {
		t.Fatal(err)
	}
	return digestOf(t, made)
}

func digestOf(t testing.TB, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func TestATagIsResolvedToTheDigestThatItStandsFor(t *testing.T) {
	reference := newRegistry(t, nil) + "/team/scores:1.4.0"
	for range 2 { // the tag is moved
		want := reference + "@" + push(t, reference)
		got, err := patient.Resolve(t.Context(), reference, nil)
		if err != nil || got != want {
			t.Errorf("resolved to %q, %v, want %q", got, err, want)
		}
	}
}

func TestAnImageOfSeveralPlatformsIsItsIndex(t *testing.T) {
	reference := newRegistry(t, nil) + "/scores:1"
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(parsed, index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	got, err := patient.Resolve(t.Context(), reference, nil)
	if want := reference + "@" + digestOf(t, index); err != nil || got != want {
		t.Errorf("resolved to %q, %v, want %q", got, err, want)
	}
}

func TestARegistryThatAnswersHEADPoorlyIsAskedForTheManifest(t *testing.T) {
	for name, poorly := range map[string]func(http.ResponseWriter){
		"without a digest": func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") },
		"not at all":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) },
	} {
		t.Run(name, func(t *testing.T) {
			answerPoorly := false
			reference := newRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if answerPoorly && r.Method == http.MethodHead {
						poorly(w)
						return
					}
					next.ServeHTTP(w, r)
				})
			}) + "/scores:1"
			want := reference + "@" + push(t, reference)
			answerPoorly = true
			if got, err := patient.Resolve(t.Context(), reference, nil); err != nil || got != want {
				t.Errorf("resolved to %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestWhatIsNoQuestionIsNotAsked(t *testing.T) {
	silent := image.Resolver{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		t.Errorf("asked %s", r.URL)
		return nil, errors.New("no network here")
	})}
	digest := "@sha256:" + strings.Repeat("0", 64)
	for _, reference := range []string{"registry.example.com/scores" + digest, "scores:1.4.0" + digest, "localhost/mirubato/scores:1.4.0"} {
		if got, err := silent.Resolve(t.Context(), reference, nil); err != nil || got != reference {
			t.Errorf("%s became %q, %v", reference, got, err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestErrorsSayWhatIsWrongAndWhatHelps(t *testing.T) {
	status := func(code int) func(http.Handler) http.Handler {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, `{"errors":[{"code":"X","message":"told by the registry"}]}`, code)
			})
		}
	}
	hang := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}
	for name, tc := range map[string]struct {
		registry func(http.Handler) http.Handler
		timeout  time.Duration
		kind     image.Kind
		cause    string
		fix      string
	}{
		"no such image": {nil, time.Minute, image.NotFound, "the registry HOST has no such image", "push the image, or correct spec.image"},
		"unauthorized": {
			status(http.StatusUnauthorized), time.Minute, image.Unauthorized,
			"the registry HOST does not let the operator see it, or has no such image",
			"name a Secret with credentials for HOST in spec.workload.imagePullSecrets, or correct spec.image",
		},
		"forbidden": {
			status(http.StatusForbidden), time.Minute, image.Unauthorized,
			"the registry HOST does not let the operator see it, or has no such image",
			"name a Secret with credentials for HOST in spec.workload.imagePullSecrets, or correct spec.image",
		},
		"too many questions": {
			status(http.StatusTooManyRequests), time.Minute, image.Unreachable,
			"the registry HOST has been asked too often", "wait, or name a digest in spec.image, which needs no question",
		},
		"broken": {
			status(http.StatusBadGateway), time.Minute, image.Unreachable,
			"the registry HOST answers with status 502", "mend the registry, or name a digest in spec.image, which needs no question",
		},
		"silent": {
			hang, 100 * time.Millisecond, image.Unreachable,
			"the registry HOST does not answer within 100ms", "check the name of the registry in spec.image, and that the operator's namespace may reach it",
		},
		"no registry": {
			func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
			}, time.Minute, image.Unreachable,
			"the registry HOST cannot be reached, or does not answer as one", "check the name of the registry in spec.image, and that the operator's namespace may reach it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := newRegistry(t, tc.registry)
			reference := host + "/scores:1"
			_, err := image.Resolver{Timeout: tc.timeout}.Resolve(t.Context(), reference, nil)
			var told *image.Error
			if !errors.As(err, &told) {
				t.Fatalf("err = %v", err)
			}
			waiting := told.Waiting()
			if told.Kind != tc.kind || waiting.Message != reference+": "+strings.ReplaceAll(tc.cause, "HOST", host) || waiting.Unblock != strings.ReplaceAll(tc.fix, "HOST", host) {
				t.Errorf("err = %s, %+v", told.Kind, waiting)
			}
		})
	}
}

func TestARegistryThatIsNotThereIsUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	host := strings.TrimPrefix(server.URL, "http://")
	server.Close()
	_, err := patient.Resolve(t.Context(), host+"/scores:1", nil)
	var told *image.Error
	if !errors.As(err, &told) || told.Kind != image.Unreachable {
		t.Errorf("err = %v", err)
	}
}

func TestANameThatNoRegistryUnderstandsIsInvalid(t *testing.T) {
	_, err := patient.Resolve(t.Context(), "Not An Image:1", nil)
	var told *image.Error
	if !errors.As(err, &told) || told.Kind != image.Invalid || told.Fix == "" {
		t.Errorf("err = %+v", err)
	}
}

// guarded lets in one user.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "pa:ss" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func secret(name string, kind corev1.SecretType, key, content string) corev1.Secret {
	return corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, Data: map[string][]byte{key: []byte(content)}}
}

func TestPullSecretsOpenARegistry(t *testing.T) {
	host := newRegistry(t, guarded)
	reference := host + "/team/scores:1"
	digest := push(t, reference, remote.WithAuth(&authn.Basic{Username: "ann", Password: "pa:ss"}))
	const inConfig, inOldConfig = corev1.DockerConfigJsonKey, corev1.DockerConfigKey
	right, wrong := `{"username":"ann","password":"pa:ss"}`, `{"username":"ann","password":"wrong"}`
	for name, tc := range map[string]struct {
		secrets []corev1.Secret
		opens   bool
		fix     string
	}{
		"none": {nil, false, "name a Secret"},
		"the registry": {
			[]corev1.Secret{secret("a", corev1.SecretTypeDockerConfigJson, inConfig, fmt.Sprintf(`{"auths":{%q:%s}}`, host, right))}, true, "",
		},
		"user and password in one": {
			[]corev1.Secret{secret("a", corev1.SecretTypeDockerConfigJson, inConfig, fmt.Sprintf(`{"auths":{"http://%s/v2/":{"auth":"YW5uOnBhOnNz"}}}`, host))}, true, "",
		},
		"the older form": {
			[]corev1.Secret{secret("a", corev1.SecretTypeDockercfg, inOldConfig, fmt.Sprintf(`{%q:%s}`, host, right))}, true, "",
		},
		"the second of two": {
			[]corev1.Secret{
				secret("a", corev1.SecretTypeDockerConfigJson, inConfig, fmt.Sprintf(`{"auths":{"registry.example.com":%s}}`, wrong)),
				secret("b", corev1.SecretTypeDockerConfigJson, inConfig, fmt.Sprintf(`{"auths":{%q:%s}}`, host, right)),
			}, true, "",
		},
		"a part of the registry comes before the whole": {
			[]corev1.Secret{secret("a", corev1.SecretTypeDockerConfigJson, inConfig, fmt.Sprintf(`{"auths":{%q:%s,"%s/team":%s}}`, host, wrong, host, right))}, true, "",
		},
		"another registry": {
			[]corev1.Secret{secret("a", corev1.SecretTypeDockerConfigJson, inConfig, fmt.Sprintf(`{"auths":{"registry.example.com":%s}}`, right))}, false, "check the credentials",
		},
		"another password": {
			[]corev1.Secret{secret("a", corev1.SecretTypeDockerConfigJson, inConfig, fmt.Sprintf(`{"auths":{%q:%s}}`, host, wrong))}, false, "check the credentials",
		},
	} {
		t.Run(name, func(t *testing.T) {
			keychain, err := image.Keychain(t.Context(), tc.secrets)
			if err != nil {
				t.Fatal(err)
			}
			got, err := patient.Resolve(t.Context(), reference, keychain)
			if tc.opens {
				if err != nil || got != reference+"@"+digest {
					t.Errorf("resolved to %q, %v", got, err)
				}
				return
			}
			var told *image.Error
			if !errors.As(err, &told) || told.Kind != image.Unauthorized || !strings.Contains(told.Fix, tc.fix) {
				t.Errorf("err = %+v", err)
			}
			for unwrapped := err; unwrapped != nil; unwrapped = errors.Unwrap(unwrapped) {
				if text := unwrapped.Error(); strings.Contains(text, "wrong") || strings.Contains(text, "pa:ss") {
					t.Errorf("the error tells the password: %s", text)
				}
			}
		})
	}
}

func TestAPullSecretThatCannotBeReadIsNamed(t *testing.T) {
	for name, tc := range map[string]struct{ secret corev1.Secret }{
		"another type": {secret("pull", corev1.SecretTypeOpaque, "password", "hidden")},
		"no JSON":      {secret("pull", corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, "hidden")},
		"no base64":    {secret("pull", corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, `{"auths":{"a":{"auth":"hidden!"}}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := image.Keychain(t.Context(), []corev1.Secret{tc.secret})
			if err == nil || !strings.Contains(err.Error(), "the pull secret pull ") || !strings.Contains(err.Error(), "kubectl create secret docker-registry") || strings.Contains(err.Error(), "hidden") {
				t.Errorf("err = %v", err)
			}
		})
	}
}
