package settings_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/settings"
)

var keyAt = client.ObjectKey{Namespace: "system", Name: "settings-key"}

func secrets(t testing.TB, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func signer(t testing.TB) *settings.Signer {
	t.Helper()
	c := secrets(t)
	s, err := settings.OpenSigner(t.Context(), c, c, keyAt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// late finds no Secret the first time, as one of two that start together.
type late struct {
	client.Reader
	asked int
}

func (l *late) Get(ctx context.Context, key client.ObjectKey, out client.Object, options ...client.GetOption) error {
	if l.asked++; l.asked == 1 {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	return l.Reader.Get(ctx, key, out, options...)
}

func TestAllReplicasSignByOneKey(t *testing.T) {
	t.Parallel()
	c := secrets(t)
	var keys []string
	for _, reader := range []client.Reader{c, c, &late{Reader: c}} {
		s, err := settings.OpenSigner(t.Context(), reader, c, keyAt)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, s.PublicKey())
	}
	if !strings.HasPrefix(keys[0], "-----BEGIN PUBLIC KEY-----\n") || keys[1] != keys[0] || keys[2] != keys[0] {
		t.Errorf("the keys are %q", keys)
	}
	if other := signer(t).PublicKey(); other == keys[0] {
		t.Error("another cluster has the same key")
	}
}

func TestAKeyThatIsNoneIsNamedAndNotShown(t *testing.T) {
	t.Parallel()
	c := secrets(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: keyAt.Namespace, Name: keyAt.Name},
		Data:       map[string][]byte{"key.pem": []byte("something private")},
	})
	_, err := settings.OpenSigner(t.Context(), c, c, keyAt)
	if err == nil || !strings.Contains(err.Error(), "key.pem of the Secret system/settings-key") || strings.Contains(err.Error(), "private\"") || strings.Contains(err.Error(), "something") {
		t.Errorf("err = %v", err)
	}
}

// taker is a pod that takes settings by a key.
type taker struct {
	key ed25519.PublicKey

	mu      sync.Mutex
	report  contract.SettingsReport
	refuses int // the status of the answer to what is sent; 0 for none
	got     []contract.SettingsPush
	types   map[string]int
}

func (p *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path == contract.HealthPath {
		_ = json.NewEncoder(w).Encode(map[string]any{"settings": p.report})
		return
	}
	body, _ := io.ReadAll(r.Body)
	var sent struct {
		jwt.RegisteredClaims
		contract.SettingsPush
	}
	token, err := jwt.ParseWithClaims(string(body), &sent, func(*jwt.Token) (any, error) { return p.key, nil }, jwt.WithValidMethods([]string{"EdDSA"}))
	if err != nil || r.Method != http.MethodPut || r.URL.Path != contract.SettingsPath || sent.Nonce != p.report.Nonce {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.types[token.Header["typ"].(string)+" "+r.Header.Get("Content-Type")]++
	if p.refuses > 0 {
		w.WriteHeader(p.refuses)
		return
	}
	p.got = append(p.got, sent.SettingsPush)
	nonce := p.report.Nonce + "x"
	p.report = contract.SettingsReport{Generation: sent.Generation, Nonce: nonce}
	if strings.Contains(sent.Settings, "loud") {
		p.report = contract.SettingsReport{Generation: 1, Rejected: sent.Generation, Error: "logging.level must be one of", Nonce: nonce}
	}
	_ = json.NewEncoder(w).Encode(p.report)
}

func take(t *testing.T, s *settings.Signer) (*taker, at) {
	t.Helper()
	key, err := jwt.ParseEdPublicKeyFromPEM([]byte(s.PublicKey()))
	if err != nil {
		t.Fatal(err)
	}
	p := &taker{key: key.(ed25519.PublicKey), report: contract.SettingsReport{Generation: 1, Nonce: "n"}, types: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, at(server.URL)
}

func told(generation, place string) settings.Assignment {
	p := pod("a", ownership.ComponentAPI, "new", generation)
	p.Annotations[contract.SettingsSequenceAnnotation] = place
	return settings.Assignment{Pod: p, Generation: 2}
}

func texts(of map[int64]string) func(int64) (string, error) {
	return func(generation int64) (string, error) {
		text, there := of[generation]
		if !there {
			return "", errors.New("there is none")
		}
		return text, nil
	}
}

func TestPodsThatAreBehindAreSentTheirSettings(t *testing.T) {
	t.Parallel()
	const good, bad = "logging:\n  level: debug\n", "logging:\n  level: loud\n"
	sent := []contract.SettingsPush{{Nonce: "n", Generation: 2, Settings: good, Sequence: 40}}
	for name, tc := range map[string]struct {
		assigned     settings.Assignment
		change       func(*taker)
		text         func(int64) (string, error)
		unsigned     bool
		want         []contract.SettingsPush
		acknowledged int32
		failed       bool
	}{
		"at once":                                     {text: texts(map[int64]string{2: good}), want: sent, acknowledged: 1},
		"what a pod cannot use is final":              {text: texts(map[int64]string{2: bad}), want: []contract.SettingsPush{{Nonce: "n", Generation: 2, Settings: bad, Sequence: 40}}, failed: true},
		"one that takes none":                         {change: func(p *taker) { p.report.Nonce = "" }, text: texts(map[int64]string{2: good})},
		"one whose place is not known":                {assigned: told("2", ""), text: texts(map[int64]string{2: good})},
		"one whose place was edited to the last":      {assigned: told("2", "9223372036854775807"), text: texts(map[int64]string{2: good})},
		"one that was not told":                       {assigned: told("1", "40"), text: texts(map[int64]string{2: good})},
		"one that runs with them":                     {change: func(p *taker) { p.report.Generation = 2 }, text: texts(map[int64]string{2: good}), acknowledged: 1},
		"one that has the number before the settings": {change: func(p *taker) { p.report.Rejected, p.report.Error = 2, "there is no file 2.yaml" }, text: texts(map[int64]string{2: good}), want: sent, acknowledged: 1},
		"without consent":                             {},
		"without the settings":                        {text: texts(nil)},
		"without a key":                               {text: texts(map[int64]string{2: good}), unsigned: true},
		"one that does not know the path":             {change: func(p *taker) { p.refuses = http.StatusNotFound }, text: texts(map[int64]string{2: good})},
		"one that has heard of something newer":       {change: func(p *taker) { p.refuses = http.StatusConflict }, text: texts(map[int64]string{2: good})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signer(t)
			p, endpoints := take(t, s)
			if tc.change != nil {
				tc.change(p)
			}
			if tc.assigned.Generation == 0 {
				tc.assigned = told("2", "40")
			}
			if tc.unsigned {
				s = nil
			}
			reader := settings.NewReader(podclient.New(), s)
			got := reader.Read(t.Context(), key, settings.Pods{Assigned: []settings.Assignment{tc.assigned}, Endpoints: endpoints, Text: tc.text}, noon)
			if diff := cmp.Diff(tc.want, p.got); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if got.Acknowledged != tc.acknowledged || got.Failed["a"] != tc.failed {
				t.Errorf("%d acknowledged, failed %t: %v", got.Acknowledged, got.Failed["a"], got.Missing)
			}
			if tc.failed {
				if diff := cmp.Diff([]v1alpha1.SettingsRejection{{Pod: "a", Reason: "logging.level must be one of"}}, got.Rejected); diff != "" {
					t.Errorf("rejected (-want +got):\n%s", diff)
				}
			}
			delete(p.types, "mirubato-settings+jwt application/jwt")
			for typ := range maps.Keys(p.types) {
				t.Errorf("sent as %s", typ)
			}
		})
	}
}
