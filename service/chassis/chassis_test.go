package chassis_test

import (
	"context"
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/openapi/openapitest"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/migrate"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// songs is the example's service while it runs.
type songs struct {
	t        *testing.T
	api, ops string
	tokens   *auth.Issuer
}

func startSongs(t *testing.T) *songs {
	t.Helper()
	url := pgserver.Database(t)
	if _, err := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: songMigrations}); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	cfg := songConfig{Database: secret.FromValue(url), Signing: secret.FromValue("a signing secret for tests, long enough"), Logger: logger}
	ctx, cancel := context.WithCancel(t.Context())
	srv, closeDatabase, err := songService(ctx, cfg, func(routes []httpapi.Route, h http.Handler) http.Handler {
		return openapitest.Handler(t, routes, h)
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ending: %v", err)
		}
		if err := closeDatabase(); err != nil {
			t.Error(err)
		}
	})
	keys, err := auth.NewKeys(cfg.Signing, secret.Source{}, logger, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return &songs{t: t, api: "http://" + srv.APIAddr(), ops: "http://" + srv.OpsAddr(), tokens: auth.NewIssuer(keys, auth.Policy{})}
}

// call returns status, body and the header Location.
func (s *songs) call(user, method, url, body string) (int, string, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if user != "" {
		minted, err := s.tokens.Mint(auth.Identity{ID: user, Role: auth.RoleUser}, time.Minute)
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+minted)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header.Get("Location")
}

func TestExampleIsAWholeService(t *testing.T) {
	s := startSongs(t)
	status, body, path := s.call("alice", "POST", s.api+"/api/songs", `{"title":"Greensleeves"}`)
	if status != 201 {
		t.Fatalf("adding: %d %s", status, body)
	}
	for name, tc := range map[string]struct {
		user, method, url, body string
		status                  int
		want                    string
	}{
		"its owner reads it":          {user: "alice", method: "GET", url: s.api + path, status: 200, want: `"title":"Greensleeves"`},
		"nobody else does":            {user: "bob", method: "GET", url: s.api + path, status: 404, want: `"NOT_FOUND"`},
		"a caller must be known":      {method: "GET", url: s.api + path, status: 401, want: `"AUTHENTICATION_ERROR"`},
		"rules are kept":              {user: "alice", method: "POST", url: s.api + "/api/songs", body: `{"title":""}`, status: 400, want: `"field":"title"`},
		"unknown fields are refused":  {user: "alice", method: "POST", url: s.api + "/api/songs", body: `{"name":"x"}`, status: 400, want: `"unknown_field"`},
		"other methods are not there": {user: "alice", method: "PATCH", url: s.api + path, status: 405, want: `"METHOD_NOT_ALLOWED"`},
		"it is ready":                 {method: "GET", url: s.ops + "/readyz", status: 200, want: `"ready"`},
		"it is documented":            {method: "GET", url: s.api + "/docs", status: 200, want: `"/api/songs/{id}"`},
		"it is measured":              {method: "GET", url: s.ops + "/metrics", status: 200, want: `service_info{`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, _ := s.call(tc.user, tc.method, tc.url, tc.body)
			if status != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("%d %.300s, want %d %s", status, body, tc.status, tc.want)
			}
		})
	}
	var document map[string]any
	_, body, _ = s.call("", "GET", s.api+"/docs", "")
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Error(err)
	}
}

func TestChassisKnowsNoService(t *testing.T) {
	const module = "github.com/mirubato/mirubato/"
	// What the chassis may import of this module besides itself; migrate serves its tests.
	allowed := []string{module + "service/chassis", module + "api/contract", module + "api/settings", module + "service/migrate"}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		// The tables of files and jobs come with the migrations of a service; tests use them as the library has them.
		allowed := allowed
		if strings.HasSuffix(path, "_test.go") {
			allowed = append(slices.Clone(allowed), module+"service/scores/scorestest")
		}
		for _, imported := range file.Imports {
			name, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			known := !strings.HasPrefix(name, module)
			for _, prefix := range allowed {
				known = known || name == prefix || strings.HasPrefix(name, prefix+"/")
			}
			if !known {
				t.Errorf("%s imports %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
