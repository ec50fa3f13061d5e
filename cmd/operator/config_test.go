package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
)

// configured reads a Config from variables and arguments.
func configured(t testing.TB, variables map[string]string, args ...string) *Config {
	t.Helper()
	config := &Config{}
	flags := pflag.NewFlagSet("operator", pflag.ContinueOnError)
	config.Bind(flags, func(name string) string { return variables[name] })
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestFlagsComeBeforeVariablesBeforeDefaults(t *testing.T) {
	for name, tc := range map[string]struct {
		variables map[string]string
		args      []string
		want      Config
	}{
		"the image alone leaves the defaults": {
			args: []string{"--migrate-image=m:1"},
			want: Config{
				MigrateImage: "m:1", MetricsAddress: ":8080", ProbeAddress: ":8081", LeaderElection: true, Concurrency: 4,
				MaxRollouts: 10,
				LogLevel:    "info", Patience: 2 * time.Minute,
			},
		},
		"every variable is read": {
			variables: map[string]string{
				"MIGRATE_IMAGE": "m:2", "METRICS_ADDRESS": "0", "PROBE_ADDRESS": ":1", "LEADER_ELECTION": "false", "CONCURRENCY": "64",
				"MAX_ROLLOUTS": "3", "LOG_LEVEL": "debug", "PATIENCE": "10s", "NAMESPACES": "a,b", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
				"DASHBOARD_ADDRESS": ":5", "DASHBOARD_PLAINTEXT": "true",
			},
			want: Config{DashboardAddress: ":5", DashboardPlaintext: true, Traces: "http://collector:4318", Namespaces: []string{"a", "b"}, MigrateImage: "m:2", MetricsAddress: "0", ProbeAddress: ":1", Concurrency: 64, MaxRollouts: 3, LogLevel: "debug", Patience: 10 * time.Second},
		},
		"a dashboard has a certificate": {
			variables: map[string]string{"MIGRATE_IMAGE": "m:2", "DASHBOARD_ADDRESS": "localhost:8443", "DASHBOARD_CERTIFICATES": "/c", "DASHBOARD_PLAINTEXT": "false"},
			want: Config{
				DashboardAddress: "localhost:8443", DashboardCertificates: "/c",
				MigrateImage: "m:2", MetricsAddress: ":8080", ProbeAddress: ":8081", LeaderElection: true, Concurrency: 4,
				MaxRollouts: 10,
				LogLevel:    "info", Patience: 2 * time.Minute,
			},
		},
		"a flag comes before its variable": {
			variables: map[string]string{
				"MIGRATE_IMAGE": "m:2", "METRICS_ADDRESS": "0", "PROBE_ADDRESS": ":1", "LEADER_ELECTION": "false", "CONCURRENCY": "many",
				"MAX_ROLLOUTS": "many", "LOG_LEVEL": "loud", "PATIENCE": "1s", "NAMESPACES": "a,b",
				"DASHBOARD_ADDRESS": ":5", "DASHBOARD_CERTIFICATES": "/c", "DASHBOARD_PLAINTEXT": "true",
			},
			args: []string{
				"--migrate-image=m:3", "--metrics-address=:3", "--probe-address=:4", "--leader-election", "--concurrency=1", "--max-rollouts=10000",
				"--log-level=error", "--patience=1h", "--namespaces=c", "--namespaces=d", "--otlp-endpoint=https://other",
				"--dashboard-address=:6", "--dashboard-certificates=/d", "--dashboard-plaintext=false",
			},
			want: Config{DashboardAddress: ":6", DashboardCertificates: "/d", Traces: "https://other", Namespaces: []string{"c", "d"}, MigrateImage: "m:3", MetricsAddress: ":3", ProbeAddress: ":4", LeaderElection: true, Concurrency: 1, MaxRollouts: 10000, LogLevel: "error", Patience: time.Hour},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := configured(t, tc.variables, tc.args...)
			if diff := cmp.Diff(tc.want, *got, cmpopts.IgnoreUnexported(Config{})); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			if err := got.Validate(); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

func TestValidateNamesTheSettingAndTheFix(t *testing.T) {
	for name, tc := range map[string]struct {
		variables map[string]string
		args      []string
		want      string
	}{
		"no image":                      {want: "--migrate-image (MIGRATE_IMAGE) is required: name the image that holds mirubato-migrate"},
		"no worker":                     {args: []string{"--concurrency=0"}, want: "--concurrency (CONCURRENCY) must be a number from 1 to 64"},
		"too many workers":              {args: []string{"--concurrency=65"}, want: "--concurrency (CONCURRENCY) must be a number from 1 to 64"},
		"a number of workers in words":  {variables: map[string]string{"CONCURRENCY": "four"}, want: "--concurrency (CONCURRENCY) must be a number from 1 to 64"},
		"no rollouts":                   {args: []string{"--max-rollouts=0"}, want: "--max-rollouts (MAX_ROLLOUTS) must be a number from 1 to 10000"},
		"too many rollouts":             {args: []string{"--max-rollouts=10001"}, want: "--max-rollouts (MAX_ROLLOUTS) must be a number from 1 to 10000"},
		"a number of rollouts in words": {variables: map[string]string{"MAX_ROLLOUTS": "ten"}, want: "--max-rollouts (MAX_ROLLOUTS) must be a number from 1 to 10000"},
		"no patience":                   {args: []string{"--patience=9s"}, want: "--patience (PATIENCE) must be a duration of at least 10s"},
		"a patience without a unit":     {variables: map[string]string{"PATIENCE": "120"}, want: "--patience (PATIENCE) must be a duration of at least 10s"},
		"a collector that is no URL":    {variables: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, want: "--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) must be a URL"},
		"a level that is none":          {variables: map[string]string{"LOG_LEVEL": "loud"}, want: "--log-level (LOG_LEVEL) must be debug, info, warn or error"},
		"a namespace that is none":      {args: []string{"--namespaces=a,B"}, want: `--namespaces (NAMESPACES): "B" is not the name of a namespace`},
		"an empty namespace":            {variables: map[string]string{"NAMESPACES": "a,"}, want: `--namespaces (NAMESPACES): "" is not the name of a namespace`},
		"neither election nor none":     {variables: map[string]string{"LEADER_ELECTION": "perhaps"}, want: "LEADER_ELECTION must be true or false"},
		"neither plaintext nor TLS":     {variables: map[string]string{"DASHBOARD_PLAINTEXT": "perhaps"}, want: "DASHBOARD_PLAINTEXT must be true or false"},
		"tokens in plain text":          {args: []string{"--dashboard-address=:8443"}, want: "--dashboard-address needs --dashboard-certificates (DASHBOARD_CERTIFICATES)"},
		"both plaintext and TLS":        {args: []string{"--dashboard-address=:8443", "--dashboard-certificates=/c", "--dashboard-plaintext"}, want: "exclude each other"},
		"a certificate for nothing":     {args: []string{"--dashboard-certificates=/c"}, want: "need --dashboard-address (DASHBOARD_ADDRESS)"},
		"a dashboard without a port":    {args: []string{"--dashboard-address=localhost", "--dashboard-plaintext"}, want: "--dashboard-address (DASHBOARD_ADDRESS) must be a host and a port"},
		"two that cannot be read":       {variables: map[string]string{"DASHBOARD_PLAINTEXT": "perhaps", "LEADER_ELECTION": "perhaps"}, want: "LEADER_ELECTION must be true or false"},
		"several at once are all named": {args: []string{"--concurrency=0", "--patience=0s"}, want: "--patience (PATIENCE)"},
	} {
		t.Run(name, func(t *testing.T) {
			args := tc.args
			if name != "no image" {
				args = append(args, "--migrate-image=m:1")
			}
			err := configured(t, tc.variables, args...).Validate()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCommandRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an argument":      {[]string{"now"}, "unknown command"},
		"an unknown flag":  {[]string{"--verbose"}, "unknown flag: --verbose"},
		"a setting amiss":  {[]string{"--migrate-image=", "--concurrency=0"}, "--concurrency (CONCURRENCY)"},
		"a flag's garbage": {[]string{"--patience=soon"}, "--patience"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command()
			cmd.SetArgs(tc.args)
			if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
		})
	}
}
