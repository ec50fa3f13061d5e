package incluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// One API server serves all tests of the package; each test has namespaces of its own. operator is somebody with the rights that the
// operator uses here and no others.
var (
	server   envtest.Environment
	direct   client.Client
	operator *rest.Config
	scheme   = runtime.NewScheme()
)

func TestMain(m *testing.M) {
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func withServer(run func() int) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, fmt.Errorf("KUBEBUILDER_ASSETS does not name the directory of kube-apiserver and etcd: run these tests by make test")
	}
	ctrl.SetLogger(logr.Discard()) // failures are told by the tests
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	server.CRDDirectoryPaths = []string{filepath.Join("..", "..", "..", "config", "crd", "bases")}
	server.ErrorIfCRDPathMissing = true
	defer func() { // also after a start that did not succeed, which leaves processes behind
		if serr := server.Stop(); serr != nil && err == nil {
			err = fmt.Errorf("stopping the API server: %w", serr)
		}
	}()
	config, err := server.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server: %w", err)
	}
	if direct, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	if operator, err = makeOperator(context.Background()); err != nil {
		return 0, err
	}
	return run(), nil
}

func makeOperator(ctx context.Context) (*rest.Config, error) {
	user, err := server.AddUser(envtest.User{Name: "operator"}, nil)
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{microservices, releases}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "operator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "operator"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "operator"}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := direct.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	config := rest.CopyConfig(user.Config())
	config.QPS = -1 // as the operator asks
	return config, nil
}

// shortly is how long answers are believed in tests.
const shortly = 200 * time.Millisecond

// world is a dashboard over TLS, with two namespaces: music with scores, and art with pictures.
type world struct {
	t          *testing.T
	music, art string
	origin     string
	client     *http.Client
	log        *transcript
	// end stops the dashboard and returns what it came to.
	end func() error
}

// transcript is all that was logged.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *transcript) write(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintln(&l.text, prefix, args)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &transcript{}}
	w.music, w.art = newNamespace(t), newNamespace(t)
	w.microservice(w.music, "scores", "1.1.0: staging waits")
	w.microservice(w.art, "pictures", "2.0.0: verified everywhere")
	directory, roots := certificate(t)
	cached, err := cache.New(operator, cache.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := client.New(operator, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{
		Certificates: directory, Cache: cached, Reviews: writer, Believed: shortly, Log: funcr.New(w.log.write, funcr.Options{Verbosity: 9}),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.origin = "https://" + listener.Addr().String()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w.run(cached, func(ctx context.Context) error { return s.Serve(ctx, listener) })
	return w
}

// run runs the cache, and the dashboard until it is ended.
func (w *world) run(cached cache.Cache, serve func(context.Context) error) {
	ctx, stop := context.WithCancel(w.t.Context())
	caching, stopCaching := context.WithCancel(w.t.Context())
	ended, cacheEnded := make(chan error, 1), make(chan struct{})
	go func() { _ = cached.Start(caching); close(cacheEnded) }()
	go func() { ended <- serve(ctx) }()
	w.end = sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	w.t.Cleanup(func() {
		if err := w.end(); err != nil {
			w.t.Errorf("the dashboard: %v", err)
		}
		stopCaching()
		<-cacheEnded
	})
}

// certificate makes one for the loopback interface, as a Secret is mounted.
func certificate(t *testing.T) (directory string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dashboard"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	directory, roots = t.TempDir(), x509.NewCertPool()
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
	roots.AppendCertsFromPEM(public)
	for name, content := range map[string][]byte{"tls.crt": public, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory, roots
}

func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := direct.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// microservice makes one that waits for an approval, with its release.
func (w *world) microservice(namespace, name, summary string) {
	w.t.Helper()
	ms := &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.MicroserviceSpec{
			Image:        "registry.example.com/" + name + ":1.1.0",
			Environments: []v1alpha1.EnvironmentSpec{{Name: "production", Namespace: namespace}},
		},
	}
	release := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-2"},
		Spec: v1alpha1.ReleaseSpec{
			Microservice: name, Number: 2, Version: "1.1.0", ContentHash: "01", Reference: ms.Spec.Image, Image: ms.Spec.Image + "@sha256:" + strings.Repeat("0", 64),
		},
	}
	for _, object := range []client.Object{release, ms} {
		if err := direct.Create(w.t.Context(), object); err != nil {
			w.t.Fatal(err)
		}
	}
	w.tell(namespace, name, summary)
}

// tell writes a status as the operator would.
func (w *world) tell(namespace, name, summary string) {
	w.t.Helper()
	ms := &v1alpha1.Microservice{}
	if err := direct.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, ms); err != nil {
		w.t.Fatal(err)
	}
	ms.Status = v1alpha1.MicroserviceStatus{
		ObservedGeneration: ms.Generation, Release: name + "-2", Summary: summary,
		Environments: []v1alpha1.EnvironmentStatus{{
			Name: "production", Namespace: namespace, Target: name + "-2", Step: v1alpha1.StepAdmit, PlanHash: "01",
			WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval, Message: "0 of 1 approvals", Since: metav1.Now(), Unblock: "make an Approval"},
		}},
	}
	if err := direct.Status().Update(w.t.Context(), ms); err != nil {
		w.t.Fatal(err)
	}
}

// account is a ServiceAccount with rights in some namespaces.
type account struct {
	*corev1.ServiceAccount
	t        *testing.T
	bindings map[string]client.Object
}

func reading(resources ...string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: resources, Verbs: []string{"get", "list", "watch"}}}
}

// somebody makes an account that may do nothing yet.
func somebody(t *testing.T) *account {
	t.Helper()
	a := &account{t: t, bindings: map[string]client.Object{}, ServiceAccount: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(t), Name: "viewer"}}}
	if err := direct.Create(t.Context(), a.ServiceAccount); err != nil {
		t.Fatal(err)
	}
	return a
}

// may lets the account do something in a namespace, or, if it is empty, everywhere.
func (a *account) may(namespace string, rules []rbacv1.PolicyRule) *account {
	a.t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "viewer-"}, Rules: rules}
	if err := direct.Create(a.t.Context(), role); err != nil {
		a.t.Fatal(err)
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: a.Namespace, Name: a.Name}}
	var binding client.Object = &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "viewer-"}, RoleRef: ref, Subjects: subjects}
	if namespace == "" {
		binding = &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{GenerateName: "viewer-"}, RoleRef: ref, Subjects: subjects}
	}
	if err := direct.Create(a.t.Context(), binding); err != nil {
		a.t.Fatal(err)
	}
	a.bindings[namespace] = binding
	a.t.Cleanup(func() { // rights everywhere would show what other tests make
		if namespace == "" {
			_ = direct.Delete(context.WithoutCancel(a.t.Context()), binding)
		}
	})
	return a
}

// mayNot takes back what the account may do in a namespace.
func (a *account) mayNot(namespace string) {
	a.t.Helper()
	if err := direct.Delete(a.t.Context(), a.bindings[namespace]); err != nil {
		a.t.Fatal(err)
	}
}

// token is a new one, for the API server if no audience is named.
func (a *account) token(audiences ...string) string {
	a.t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	if err := direct.SubResource("token").Create(a.t.Context(), a.ServiceAccount, request); err != nil {
		a.t.Fatal(err)
	}
	return request.Status.Token
}

// leave deletes the account, and returns once the API server knows that. Tokens that it was asked about it believes for some seconds more.
func (a *account) leave() {
	a.t.Helper()
	token := a.token()
	if err := direct.Delete(a.t.Context(), a.ServiceAccount); err != nil {
		a.t.Fatal(err)
	}
	for late := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
		if err := direct.Create(a.t.Context(), review); err != nil {
			a.t.Fatal(err)
		}
		if !review.Status.Authenticated {
			return
		}
		if time.Now().After(late) {
			a.t.Fatal("the API server knows an account that was deleted")
		}
	}
}

// reply is what was answered; its body is closed with the test.
type reply struct{ *http.Response }

// ask sends a request with a token, or without one.
func (w *world) ask(method, path, token string, change ...func(*http.Request)) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.origin+path, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, change := range change {
		change(r)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = answer.Body.Close() })
	return reply{answer}
}

func text(t *testing.T, answer reply) string {
	t.Helper()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func bodyOf(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

func metaOf(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}
