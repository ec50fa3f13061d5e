package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/scores/scorestest"
)

func TestUserCreate(t *testing.T) {
	url := scorestest.URL(t)
	create := func(password string, args ...string) (string, string, error) {
		cmd := command(t, []string{"DATABASE_URL=" + url}, append([]string{"user", "create"}, args...)...)
		var out, problem bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(password+"\n"), &out, &problem
		err := cmd.Run()
		return strings.TrimSpace(out.String()), problem.String(), err
	}
	id, problem, err := create("correct horse battery", "--email", "ada@example.org", "--role", "admin")
	if err != nil || uuid.Validate(id) != nil {
		t.Fatalf("%v: %q %s", err, id, problem)
	}
	for name, tc := range map[string]struct{ password, want string }{
		"the same address": {password: "correct horse battery", want: "there is a user with this e-mail address already"},
		"a short password": {password: "short", want: "password must have at least 12 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problem, err := create(tc.password, "--email", "ada@example.org")
			if err == nil || !strings.Contains(strings.ToLower(problem), tc.want) {
				t.Errorf("%v: %q, want %q", err, problem, tc.want)
			}
		})
	}

	i := startService(t, testConfig(url))
	status, body, _ := i.call(t, http.MethodPost, i.api+"/api/auth/token", `{"email":"ada@example.org","password":"correct horse battery"}`)
	if status != http.StatusOK {
		t.Fatalf("login: %d %s", status, body)
	}
	if log := i.log.String(); strings.Contains(log, "correct horse") {
		t.Error("the log holds the password")
	}
}
