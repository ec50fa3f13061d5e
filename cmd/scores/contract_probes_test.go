package main

import (
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

// withoutDatabase runs a service whose database is not there.
func withoutDatabase(t *testing.T) *library {
	t.Helper()
	url := "postgres://scores:hunter2@" + net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))) + "/scores?sslmode=disable"
	return run(t, url, nil)
}

func TestC01LivezAsksNothing(t *testing.T) {
	l := withoutDatabase(t)
	for _, base := range []string{l.api, l.ops} {
		if got := l.send(t, "GET", base+"/livez", "").is(t, 200, ""); strings.TrimSpace(got.body) != `{"status":"ok"}` {
			t.Errorf("%s", got.body)
		}
	}
}

func TestC02ReadyzFollowsTheDatabase(t *testing.T) {
	for name, tc := range map[string]struct {
		library *library
		status  int
		want    string
	}{
		"a database that is ready": {library: open(t, nil), status: 200, want: `{"status":"ready"}`},
		"no database":              {library: withoutDatabase(t), status: 503, want: `{"status":"not ready","error":"the database does not answer"}`},
		"an empty database": {
			library: run(t, pgserver.Database(t), nil), status: 503,
			want: `{"status":"not ready","error":"the database schema is older than this release needs"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, base := range []string{tc.library.api, tc.library.ops} {
				if got := tc.library.send(t, "GET", base+"/readyz", "").is(t, tc.status, ""); strings.TrimSpace(got.body) != tc.want {
					t.Errorf("%s, want %s", got.body, tc.want)
				}
			}
		})
	}
}

func TestC03DetailsAreForAdmins(t *testing.T) {
	l := open(t, nil)
	for caller, status := range map[auth.Identity]int{nobody: 401, alice: 403, teacher: 403, admin: 200} {
		l.as(t, caller, "GET", "/health/detailed", "").is(t, status, "")
	}
	report := l.as(t, admin, "GET", "/health/detailed", "").object(t)
	checks, _ := report["checks"].(map[string]any)
	database, _ := checks["database"].(map[string]any)
	_, timed := database["latency"].(float64)
	if total, _ := report["totalLatency"].(float64); report["status"] != "healthy" || database["status"] != "healthy" || !timed || total <= 0 {
		t.Errorf("%v", report)
	}
	l.send(t, "GET", l.ops+"/health/detailed", "").is(t, 404, "")
}

func TestC03HealthReports(t *testing.T) {
	for name, tc := range map[string]struct {
		library          *library
		status           int
		health, database any
	}{
		"well":           {library: open(t, nil), status: 200, health: "healthy", database: true},
		"not its ground": {library: withoutDatabase(t), status: 503, health: "unhealthy", database: false},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.library.send(t, "GET", tc.library.api+"/health", "").is(t, tc.status, "")
			report := got.object(t)
			stamp, _ := report["timestamp"].(string)
			if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(stamp) {
				t.Errorf("timestamp %q", stamp)
			}
			checks, _ := report["checks"].(map[string]any)
			want := []any{tc.health, tc.database, "scores", "test", "r7", buildVersion()}
			found := []any{report["status"], checks["database"], report["service"], report["environment"], report["release"], report["version"]}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, ok := report["uptime"].(float64); !ok {
				t.Errorf("no uptime: %s", got.body)
			}
			for _, inner := range []string{"hunter2", "127.0.0.1", "refused"} {
				if strings.Contains(got.body, inner) {
					t.Errorf("%s shows %s", got.body, inner)
				}
			}
		})
	}
}

func TestC04MetricsAreComplete(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	l.as(t, alice, "GET", path, "").is(t, 200, "")
	l.as(t, alice, "GET", "/api/scores/nothing", "").is(t, 400, "VALIDATION_ERROR")
	got := l.send(t, "GET", l.ops+"/metrics", "").is(t, 200, "")
	if mediaType := got.header.Get("Content-Type"); !strings.HasPrefix(mediaType, "text/plain; version=0.0.4") {
		t.Errorf("Content-Type %q", mediaType)
	}
	for _, want := range []string{
		"# HELP service_info ", "# TYPE service_info gauge", `service_info{environment="test",`, `version="` + buildVersion() + `"} 1`,
		`http_requests_total{method="GET",route="/api/scores/{id}",status="200"} 1`,
		`http_requests_total{method="GET",route="/api/scores/{id}",status="400"} 1`,
		`http_request_duration_seconds_count{method="GET",route="/api/scores/{id}",status="200"} 1`,
		`database_query_duration_seconds_count{query="scores.insert"} 1`,
		"http_requests_in_flight", `go_sql_in_use_connections{db_name="main"}`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(got.body, strings.TrimPrefix(path, "/api/scores/")) || strings.Contains(got.body, alice.ID+`"`) {
		t.Error("labels hold IDs, so that their number has no bound")
	}
}

func TestC05DocumentSaysHowToCall(t *testing.T) {
	l := open(t, nil)
	doc := l.send(t, "GET", l.api+"/docs", "").is(t, 200, "").object(t)
	info, _ := doc["info"].(map[string]any)
	for _, field := range []string{"title", "version", "description"} {
		if text, _ := info[field].(string); text == "" {
			t.Errorf("info lacks %s", field)
		}
	}
	components, _ := doc["components"].(map[string]any)
	schemes, _ := components["securitySchemes"].(map[string]any)
	scheme, _ := schemes["bearerAuth"].(map[string]any)
	want := []any{"http", "bearer", "JWT", []any{map[string]any{"bearerAuth": []any{}}}}
	if diff := cmp.Diff(want, []any{scheme["type"], scheme["scheme"], scheme["bearerFormat"], doc["security"]}); diff != "" {
		t.Errorf("security (-want +got):\n%s", diff)
	}
	// Each operation either asks for a token, takes one, or says that it needs none.
	for _, op := range operationsOf(t, l) {
		refused := l.send(t, op.method, l.api+strings.NewReplacer("{", "", "}", "").Replace(op.path), "").status == http.StatusUnauthorized
		if refused != op.needsToken {
			t.Errorf("%s %s: refused without a token: %t, documented: %t", op.method, op.path, refused, op.needsToken)
		}
	}
}

func TestC63ConfigurationIsChecked(t *testing.T) {
	base := map[string]string{"DATABASE_URL": testURL, "JWT_SECRET": testSecret}
	for name, tc := range map[string]struct {
		variable, value string
		wrong           bool
	}{
		"local":                       {variable: "ENVIRONMENT", value: "local"},
		"development":                 {variable: "ENVIRONMENT", value: "development"},
		"staging":                     {variable: "ENVIRONMENT", value: "staging"},
		"production":                  {variable: "ENVIRONMENT", value: "production"},
		"an environment with a break": {variable: "ENVIRONMENT", value: "a\nb", wrong: true},
		"origins":                     {variable: "CORS_ORIGIN", value: "https://a.example.org, https://b.example.org"},
		"any origin":                  {variable: "CORS_ORIGIN", value: "*"},
		"an origin with a path":       {variable: "CORS_ORIGIN", value: "https://a.example.org/", wrong: true},
		"debug":                       {variable: "LOG_LEVEL", value: "debug"},
		"info":                        {variable: "LOG_LEVEL", value: "info"},
		"warn":                        {variable: "LOG_LEVEL", value: "warn"},
		"error":                       {variable: "LOG_LEVEL", value: "error"},
		"an unknown level":            {variable: "LOG_LEVEL", value: "loud", wrong: true},
		"a secret of 31 bytes":        {variable: "JWT_SECRET", value: strings.Repeat("x", 31), wrong: true},
		"a secret of 32 bytes":        {variable: "JWT_SECRET", value: strings.Repeat("x", 32)},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{tc.variable: tc.value}
			for key, value := range base {
				if key != tc.variable {
					env[key] = value
				}
			}
			_, err := load(t, env)
			if (err != nil) != tc.wrong || (err != nil && !strings.Contains(err.Error(), tc.variable)) {
				t.Errorf("%s=%q: %v, want it refused: %t", tc.variable, tc.value, err, tc.wrong)
			}
		})
	}
	if err := serve(t.Context(), Config{DatabaseURL: secret.FromValue(testURL), JWTSecret: secret.FromValue("short")}, &lockedBuffer{}, nil); err == nil {
		t.Error("a short secret is served with")
	}
}
