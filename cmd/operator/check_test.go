package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/controllers/preflight"
)

func TestTellWritesALineForEachFinding(t *testing.T) {
	for name, tc := range map[string]struct {
		findings []preflight.Finding
		want     string
		problem  error
	}{
		"all is well": {[]preflight.Finding{{Subject: "all 83 rights"}}, "ok      all 83 rights\n", nil},
		"one is not": {
			[]preflight.Finding{{Subject: "Kubernetes v1.37.0"}, {Subject: "rights", Problem: errors.New("missing: get pods")}},
			"ok      Kubernetes v1.37.0\nnot ok  rights: missing: get pods\n", errCheck,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := tell(&out, tc.findings); !errors.Is(err, tc.problem) {
				t.Errorf("err = %v, want %v", err, tc.problem)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPluginKeepsItsExitCodes matters to pipelines: 2 says that the command line is wrong, and that nothing was done.
func TestPluginKeepsItsExitCodes(t *testing.T) {
	cmd := command()
	var stderr bytes.Buffer
	cmd.SetErr(&stderr)
	cmd.SetArgs([]string{"plugin", "wait", "--no-such-flag"})
	err := cmd.ExecuteContext(t.Context())
	var code exitCode
	if !errors.As(err, &code) || code != 2 {
		t.Errorf("err = %v, want exit code 2", err)
	}
	if !strings.Contains(stderr.String(), "no-such-flag") {
		t.Errorf("it is told %q", stderr.String())
	}
}
