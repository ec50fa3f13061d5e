package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Config is everything that the operator can be told. Each flag falls back to the environment variable named with it.
type Config struct {
	// MigrateImage holds mirubato-migrate (MIGRATE_IMAGE). Required.
	MigrateImage string
	// MetricsAddress serves the operator's own metrics (METRICS_ADDRESS); "0" serves none.
	MetricsAddress string
	// ProbeAddress serves /livez and /readyz (PROBE_ADDRESS).
	ProbeAddress string
	// LeaderElection lets only one of several replicas work (LEADER_ELECTION).
	LeaderElection bool
	// Concurrency is how many Microservices are reconciled at a time, from 1 to 64 (CONCURRENCY).
	Concurrency int
	// MaxRollouts is how many rollouts are under way at once, in all environments of all Microservices, from 1 to 10000
	// (MAX_ROLLOUTS). Soaking does not count, and no rollback waits.
	MaxRollouts int
	// Namespaces are those that the operator works in, with rights in no other (NAMESPACES, separated by commas). None means
	// all of the cluster.
	Namespaces []string
	// Traces is the URL of a collector to which the way of each release is sent as a trace (OTEL_EXPORTER_OTLP_ENDPOINT); empty for none.
	Traces string
	// DashboardAddress serves the dashboard to whoever may read Microservices (DASHBOARD_ADDRESS); empty serves none.
	DashboardAddress string
	// DashboardCertificates is a directory with tls.crt and tls.key, read again when they change (DASHBOARD_CERTIFICATES).
	DashboardCertificates string
	// DashboardPlaintext serves the dashboard without TLS (DASHBOARD_PLAINTEXT): for where a mesh encrypts all that pods say.
	DashboardPlaintext bool
	// LogLevel is debug, info, warn or error (LOG_LEVEL).
	LogLevel string
	// Patience is how long queued work may go without any being begun or finished before the liveness probe fails (PATIENCE). It
	// must be longer than the slowest call to the API server.
	Patience time.Duration

	// unreadable names variables that cannot be read and whose field has no value that would tell.
	unreadable error
}

// Bind declares the flags, with defaults from the environment. A variable that cannot be read is reported by Validate.
func (c *Config) Bind(flags *pflag.FlagSet, getenv func(string) string) {
	text := func(variable, fallback string) string {
		if value := getenv(variable); value != "" {
			return value
		}
		return fallback
	}
	flags.StringVar(&c.MigrateImage, "migrate-image", text("MIGRATE_IMAGE", ""), "image that holds mirubato-migrate (MIGRATE_IMAGE)")
	flags.StringVar(&c.MetricsAddress, "metrics-address", text("METRICS_ADDRESS", ":8080"), "address that serves the metrics, 0 for none (METRICS_ADDRESS)")
	flags.StringSliceVar(&c.Namespaces, "namespaces", split(getenv("NAMESPACES")), "namespaces to work in, separated by commas, all if none (NAMESPACES)")
	flags.StringVar(&c.ProbeAddress, "probe-address", text("PROBE_ADDRESS", ":8081"), "address that serves /livez and /readyz (PROBE_ADDRESS)")
	flags.StringVar(&c.LogLevel, "log-level", text("LOG_LEVEL", "info"), "debug, info, warn or error (LOG_LEVEL)")
	flags.StringVar(&c.Traces, "otlp-endpoint", text("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
		"URL of a collector of traces (OTLP over HTTP), such as http://collector:4318, none if empty (OTEL_EXPORTER_OTLP_ENDPOINT)")
	c.bindDashboard(flags, getenv)
	elect, err := strconv.ParseBool(text("LEADER_ELECTION", "true"))
	if err != nil {
		c.unreadable = errors.Join(c.unreadable, errors.New("LEADER_ELECTION must be true or false"))
	}
	flags.BoolVar(&c.LeaderElection, "leader-election", elect || err != nil, "let only one of several replicas work (LEADER_ELECTION)")
	concurrency, err := strconv.Atoi(text("CONCURRENCY", "4"))
	if err != nil {
		concurrency = 0 // out of range, so Validate names it
	}
	flags.IntVar(&c.Concurrency, "concurrency", concurrency, "how many Microservices are worked on at a time, 1 to 64 (CONCURRENCY)")
	rollouts, err := strconv.Atoi(text("MAX_ROLLOUTS", "10"))
	if err != nil {
		rollouts = 0 // likewise
	}
	flags.IntVar(&c.MaxRollouts, "max-rollouts", rollouts, "how many rollouts are under way at once, 1 to 10000 (MAX_ROLLOUTS)")
	patience, err := time.ParseDuration(text("PATIENCE", "2m"))
	if err != nil {
		patience = 0
	}
	flags.DurationVar(&c.Patience, "patience", patience, "how long queued work may rest before the liveness probe fails, at least 10s (PATIENCE)")
}

func (c *Config) bindDashboard(flags *pflag.FlagSet, getenv func(string) string) {
	flags.StringVar(&c.DashboardAddress, "dashboard-address", getenv("DASHBOARD_ADDRESS"),
		"address that serves the dashboard, such as :8443, none if empty (DASHBOARD_ADDRESS)")
	flags.StringVar(&c.DashboardCertificates, "dashboard-certificates", getenv("DASHBOARD_CERTIFICATES"),
		"directory with tls.crt and tls.key for the dashboard (DASHBOARD_CERTIFICATES)")
	plaintext := false
	if text := getenv("DASHBOARD_PLAINTEXT"); text != "" {
		var err error
		if plaintext, err = strconv.ParseBool(text); err != nil {
			c.unreadable = errors.Join(c.unreadable, errors.New("DASHBOARD_PLAINTEXT must be true or false"))
		}
	}
	flags.BoolVar(&c.DashboardPlaintext, "dashboard-plaintext", plaintext,
		"serve the dashboard without TLS, where a mesh encrypts what pods say (DASHBOARD_PLAINTEXT)")
}

// checkDashboard says what is wrong with how the dashboard is to be served.
func (c *Config) checkDashboard() error {
	switch {
	case c.DashboardAddress == "" && (c.DashboardCertificates != "" || c.DashboardPlaintext):
		return errors.New("--dashboard-certificates and --dashboard-plaintext need --dashboard-address (DASHBOARD_ADDRESS): no dashboard is served without")
	case c.DashboardAddress == "":
		return nil
	case c.DashboardCertificates == "" && !c.DashboardPlaintext:
		return errors.New("--dashboard-address needs --dashboard-certificates (DASHBOARD_CERTIFICATES), a directory with tls.crt and tls.key: tokens are not taken in plain text")
	case c.DashboardCertificates != "" && c.DashboardPlaintext:
		return errors.New("--dashboard-certificates and --dashboard-plaintext exclude each other: give one of them")
	}
	if _, port, err := net.SplitHostPort(c.DashboardAddress); err != nil || port == "" {
		return errors.New("--dashboard-address (DASHBOARD_ADDRESS) must be a host and a port, or a port alone, such as :8443")
	}
	return nil
}

// Validate names every setting that cannot be used, and the fix.
func (c *Config) Validate() error {
	const maxConcurrency, maxRollouts, minPatience = 64, 10_000, 10 * time.Second
	errs := []error{c.unreadable}
	if c.MigrateImage == "" {
		errs = append(errs, errors.New("--migrate-image (MIGRATE_IMAGE) is required: name the image that holds mirubato-migrate"))
	}
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		errs = append(errs, fmt.Errorf("--concurrency (CONCURRENCY) must be a number from 1 to %d", maxConcurrency))
	}
	if c.MaxRollouts < 1 || c.MaxRollouts > maxRollouts {
		errs = append(errs, fmt.Errorf("--max-rollouts (MAX_ROLLOUTS) must be a number from 1 to %d", maxRollouts))
	}
	if c.Patience < minPatience {
		errs = append(errs, fmt.Errorf("--patience (PATIENCE) must be a duration of at least %s", minPatience))
	}
	for _, namespace := range c.Namespaces {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			errs = append(errs, fmt.Errorf("--namespaces (NAMESPACES): %q is not the name of a namespace: %s", namespace, problems[0]))
		}
	}
	if !isEndpoint(c.Traces) {
		errs = append(errs, errors.New("--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) must be a URL, such as http://collector:4318"))
	}
	errs = append(errs, c.checkDashboard())
	if _, err := c.level(); err != nil {
		errs = append(errs, errors.New("--log-level (LOG_LEVEL) must be debug, info, warn or error"))
	}
	return errors.Join(errs...)
}

// isEndpoint reports whether traces can be sent there, or shall not be.
func isEndpoint(text string) bool {
	address, err := url.Parse(text)
	return text == "" || err == nil && address.Host != "" && (address.Scheme == "http" || address.Scheme == "https")
}

// split takes a list apart as the flag of the same name does.
func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func (c *Config) level() (slog.Level, error) {
	var level slog.Level
	return level, level.UnmarshalText([]byte(c.LogLevel))
}
