package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/auth"
)

// generations is a directory of settings of which a test writes one generation after the other.
type generations string

// put makes a generation and then the current one.
func (g generations) put(t testing.TB, number int64, text string) {
	t.Helper()
	for name, content := range map[string]string{contract.SettingsFile(number): text, "next": strings.TrimSuffix(contract.SettingsFile(number), ".yaml")} {
		if err := os.WriteFile(filepath.Join(string(g), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(string(g), "next"), filepath.Join(string(g), contract.SettingsCurrentFile)); err != nil {
		t.Fatal(err)
	}
}

// roomyLimits are settings under which tests are not refused for being quick.
const roomyLimits = `rateLimits:
  address: {requests: 1000000, window: 1m}
  default: {requests: 1000000, window: 1m}
  tiers: []
  classes:
    auth: {requests: 1000000, window: 1m}
    upload: {requests: 1000000, window: 1m}
`

// roomy is a directory of settings under which tests are not refused for being quick.
func roomy(t testing.TB) string {
	t.Helper()
	g := generations(t.TempDir())
	g.put(t, 1, roomyLimits)
	return string(g)
}

// eventually waits for something that happens soon after a change.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about: %s", what)
		}
	}
}

func TestSettingsTakeEffectWhileTheServiceRuns(t *testing.T) {
	g := generations(t.TempDir())
	g.put(t, 1, "{}")
	l := open(t, func(c *Config) { c.SettingsDir = string(g) })
	const page = "https://app.example.org"
	allowed := func() string {
		return l.send(t, http.MethodGet, l.api+"/api/scores", "", "Origin", page).header.Get("Access-Control-Allow-Origin")
	}
	inForce := func() map[string]any {
		state, _ := l.send(t, http.MethodGet, l.ops+"/health", "").is(t, 200, "").object(t)["settings"].(map[string]any)
		return state
	}
	if got := allowed(); got != "" {
		t.Errorf("a page may call from the start: %s", got)
	}
	l.as(t, admin, "POST", "/api/admin/users", `{"email":"bea@example.org","role":"user","password":"correct horse battery"}`).is(t, 201, "")
	login := func() map[string]any {
		return l.as(t, auth.Identity{}, "POST", "/api/auth/token", `{"email":"bea@example.org","password":"correct horse battery"}`).is(t, 200, "").data(t)
	}
	if got := login(); got["expiresIn"] != 900.0 {
		t.Errorf("%v", got["expiresIn"])
	}

	g.put(t, 2, "cors: {origins: ['"+page+"']}\nlogging: {level: debug}\ntokens: {accessTTL: 2m, refreshTTL: 1h}\n")
	eventually(t, "generation 2 is in force", func() bool { return inForce()["generation"] == 2.0 })
	if got := allowed(); got != page {
		t.Errorf("the page may not call: %q", got)
	}
	if got := login(); got["expiresIn"] != 120.0 || got["refreshExpiresIn"] != 3600.0 {
		t.Errorf("%v", got)
	}
	l.send(t, http.MethodGet, l.api+"/livez", "").is(t, 200, "")
	eventually(t, "probes are logged", func() bool { return strings.Contains(l.log.String(), `"level":"DEBUG"`) })

	g.put(t, 3, "tokens: {accessTTL: 0s}")
	eventually(t, "generation 3 is refused", func() bool { return inForce()["rejected"] == 3.0 })
	if state := inForce(); state["generation"] != 2.0 || !strings.Contains(state["error"].(string), "tokens.accessTTL must be a duration from 1m to 24h") {
		t.Errorf("%v", state)
	}
	metrics := l.send(t, http.MethodGet, l.ops+"/metrics", "").body
	for _, want := range []string{"settings_generation 2", "settings_rejected_generation 3", "settings_error 1"} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if got := login(); got["expiresIn"] != 120.0 {
		t.Errorf("refused settings are in force: %v", got["expiresIn"])
	}
}
