package settings

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// sender makes tokens.
type sender ed25519.PrivateKey

func newSender(t testing.TB) (sender, string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return sender(private), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (s sender) token(t testing.TB, typ string, sent contract.SettingsPush) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{SettingsPush: sent})
	token.Header["typ"] = typ
	text, err := token.SignedString(ed25519.PrivateKey(s))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// told writes what the kubelet writes of the annotations of a pod.
func (f *files) told(t *testing.T, generation, sequence string) {
	t.Helper()
	f.put(t, map[string]string{"own": generation, filepath.Join("..", "pod", filepath.Base(contract.SettingsSequenceFile)): sequence})
}

// pushable is a directory with warn as generation 7, of which the pod was told with sequence 10, and a key.
func pushable(t *testing.T) (*files, *Live, sender) {
	t.Helper()
	f := newFiles(t)
	from, key := newSender(t)
	f.put(t, map[string]string{"7.yaml": "logging: {level: warn}", "current": "7", contract.SettingsKeyFile: key})
	f.told(t, "7", "10")
	return f, f.open(time.Hour), from
}

func TestWhatIsSentHoldsUntilTheFilesAreAsNew(t *testing.T) {
	f, l, from := pushable(t)
	send := func(generation int64, level string, sequence int64) {
		t.Helper()
		token := from.token(t, contract.SettingsPushType, contract.SettingsPush{
			Nonce: l.Nonce(), Generation: generation, Settings: "logging: {level: " + level + "}", Sequence: sequence,
		})
		if err := l.Push(token); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, generation int64, want settings.LogLevel) {
		t.Helper()
		l.load()
		if got := l.State(); got.Generation != generation || got.Error != "" || level(l) != want {
			t.Fatalf("%s: %+v with %s, want generation %d with %s", what, got, level(l), generation, want)
		}
	}
	want("at first", 7, "warn")
	send(8, "debug", 11)
	want("sent, and the files are as before", 8, "debug")
	f.told(t, "8", "11")
	want("the number is written, its settings are not", 8, "debug")
	f.put(t, map[string]string{"8.yaml": "logging: {level: debug}"})
	want("both are written", 8, "debug")
	send(9, "error", 12)
	send(7, "warn", 13)
	want("taken back before the kubelet has written it", 7, "warn")
	f.put(t, map[string]string{"9.yaml": "logging: {level: error}"})
	f.told(t, "9", "12")
	want("the kubelet writes late what was taken back", 7, "warn")
	f.told(t, "7", "13")
	want("and catches up", 7, "warn")
	f.told(t, "8", "14")
	want("told by the files alone", 8, "debug")
	send(9, "error", 13)
	want("sent by somebody who knows less than the files", 8, "debug")
}

func TestWhatIsSentAndCannotBeUsedIsRefused(t *testing.T) {
	f, l, from := pushable(t)
	token := from.token(t, contract.SettingsPushType, contract.SettingsPush{Nonce: l.Nonce(), Generation: 8, Settings: "logging: {level: loud}", Sequence: 11})
	if err := l.Push(token); err != nil {
		t.Fatal(err)
	}
	l.load()
	if got := l.State(); got.Generation != 7 || got.Rejected != 8 || !strings.Contains(got.Error, "logging.level") || level(l) != "warn" {
		t.Errorf("%+v with %s", got, level(l))
	}
	f.told(t, "7", "12")
	l.load()
	if got := l.State(); got != (State{Generation: 7}) {
		t.Errorf("after it was taken back: %+v", got)
	}
}

func TestWhoMaySend(t *testing.T) {
	good := contract.SettingsPush{Generation: 8, Settings: "logging: {level: debug}", Sequence: 11}
	for name, tc := range map[string]struct {
		change func(*contract.SettingsPush)
		typ    string
		other  bool
		want   error
	}{
		"the one with the key":                   {want: nil},
		"somebody with another key":              {other: true, want: ErrNotSigned},
		"a token by the key for something else":  {typ: "JWT", want: ErrNotSigned},
		"for another process":                    {change: func(p *contract.SettingsPush) { p.Nonce = "of another" }, want: ErrOutdated},
		"without a nonce":                        {change: func(p *contract.SettingsPush) { p.Nonce = "" }, want: ErrOutdated},
		"without a number":                       {change: func(p *contract.SettingsPush) { p.Generation = 0 }, want: ErrIncomplete},
		"without an age":                         {change: func(p *contract.SettingsPush) { p.Sequence = 0 }, want: ErrIncomplete},
		"without settings, which are no default": {change: func(p *contract.SettingsPush) { p.Settings = "\n" }, want: ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			_, l, from := pushable(t)
			if tc.other {
				from, _ = newSender(t)
			}
			if tc.typ == "" {
				tc.typ = contract.SettingsPushType
			}
			sent := good
			sent.Nonce = l.Nonce()
			if tc.change != nil {
				tc.change(&sent)
			}
			if err := l.Push(from.token(t, tc.typ, sent)); !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
			if taken := l.State().Generation == 8; taken != (tc.want == nil) {
				t.Errorf("in force is %+v", l.State())
			}
		})
	}
}

func TestATokenIsGoodOnce(t *testing.T) {
	_, l, from := pushable(t)
	first := from.token(t, contract.SettingsPushType, contract.SettingsPush{Nonce: l.Nonce(), Generation: 8, Settings: "logging: {level: debug}", Sequence: 11})
	if err := l.Push(first); err != nil {
		t.Fatal(err)
	}
	if err := l.Push(first); !errors.Is(err, ErrOutdated) {
		t.Errorf("sent again: %v", err)
	}
	newer := from.token(t, contract.SettingsPushType, contract.SettingsPush{Nonce: l.Nonce(), Generation: 9, Settings: "{}", Sequence: 10})
	if err := l.Push(newer); !errors.Is(err, ErrOutdated) {
		t.Errorf("older than what was sent: %v", err)
	}
}

func TestNoTokenIsAskedForThatCouldNotBeTaken(t *testing.T) {
	for name, change := range map[string]map[string]string{
		"no key":                {contract.SettingsKeyFile: "-"},
		"a key that is none":    {contract.SettingsKeyFile: "key"},
		"no file of the number": {filepath.Join("..", "pod", filepath.Base(contract.SettingsSequenceFile)): "-"},
	} {
		t.Run(name, func(t *testing.T) {
			f, l, from := pushable(t)
			nonce := l.Nonce()
			f.put(t, change)
			if got := l.Nonce(); nonce == "" || got != "" {
				t.Errorf("the nonce is %q, and was %q", got, nonce)
			}
			if name == "no file of the number" {
				return // it could be verified
			}
			token := from.token(t, contract.SettingsPushType, contract.SettingsPush{Nonce: nonce, Generation: 8, Settings: "{}", Sequence: 11})
			if err := l.Push(token); !errors.Is(err, ErrNotSigned) {
				t.Errorf("err = %v", err)
			}
		})
	}
	fixed := Open(Config{Base: settings.Default()})
	if err := fixed.Push("x"); fixed.Nonce() != "" || !errors.Is(err, ErrNotSigned) {
		t.Errorf("without a directory: %q, %v", fixed.Nonce(), err)
	}
}

type unobserved struct{}

func (unobserved) RequestStarted()                                     {}
func (unobserved) RequestFinished(_, _ string, _ int, _ time.Duration) {}

func TestAnswersToWhatIsSent(t *testing.T) {
	_, l, from := pushable(t)
	router := httpapi.NewRouter()
	router.Mount(httpapi.OpenGuard{}, l.Routes())
	server := httptest.NewServer(httpapi.Middleware(httpapi.Options{
		Logger: l.cfg.Logger, Observer: unobserved{}, RequestTimeout: httpapi.Fixed(patience), MaxBody: 1,
	}, router))
	t.Cleanup(server.Close)
	put := func(mediaType, body string) (int, contract.SettingsReport) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+contract.SettingsPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var said contract.SettingsReport
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, said
	}
	token := func(level string) string {
		return from.token(t, contract.SettingsPushType, contract.SettingsPush{Nonce: l.Nonce(), Generation: 8, Settings: "logging: {level: " + level + "}", Sequence: 11})
	}
	good := token("debug")
	status, said := put(contract.SettingsPushMediaType, good)
	if diff := cmp.Diff(contract.SettingsReport{Generation: 8, Nonce: l.Nonce()}, said); status != http.StatusOK || diff != "" {
		t.Errorf("a good one: %d, (-want +got):\n%s", status, diff)
	}
	if status, said := put(contract.SettingsPushMediaType, token("loud")); status != http.StatusOK || said.Generation != 8 || said.Rejected != 8 || said.Error == "" {
		t.Errorf("settings that cannot be used: %d, %+v", status, said)
	}
	for name, tc := range map[string]struct {
		mediaType, body string
		want            int
	}{
		"again":          {contract.SettingsPushMediaType, good, http.StatusConflict},
		"no token":       {contract.SettingsPushMediaType, "x", http.StatusUnauthorized},
		"something else": {"application/json", good, http.StatusUnsupportedMediaType},
		"far too much":   {contract.SettingsPushMediaType, strings.Repeat("x", maxPush+1), http.StatusRequestEntityTooLarge},
	} {
		if status, _ := put(tc.mediaType, tc.body); status != tc.want {
			t.Errorf("%s: %d, want %d", name, status, tc.want)
		}
	}
	l.receiving.Lock() // as while somebody sends without end
	if status, _ := put(contract.SettingsPushMediaType, token("debug")); status != http.StatusServiceUnavailable {
		t.Errorf("while others are received: %d", status)
	}
	l.receiving.Unlock()
	if status, _ := put(contract.SettingsPushMediaType, token("debug")); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}
