package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// Config is everything that can be set from outside. Load it with loadConfig; a command gets only the fields of the
// areas it asked for.
type Config struct {
	// Environment names where the process runs.
	Environment string
	// Release names what runs; empty in the environment means the version of the build.
	Release  string
	LogLevel slog.Level

	APIAddr string
	OpsAddr string
	// Origins are those whose pages may call the API while the settings do not say whose; none by default.
	Origins []string
	// BaseSettings hold where no generation says otherwise.
	BaseSettings settings.Settings
	// SettingsDir is the directory of settings generations; empty means that the defaults hold.
	SettingsDir string
	// SettingsGenerationFile is the file of the pod's own generation; empty means the current one.
	SettingsGenerationFile string
	// Traces is where a collector takes OTLP over HTTP; empty is no traces.
	Traces string
	// RequestTimeout is the deadline of a request.
	RequestTimeout time.Duration
	// DrainDelay is how long new requests are served after the order to end; 0 is allowed.
	DrainDelay time.Duration
	// ShutdownTimeout is how long running requests may take after that.
	ShutdownTimeout time.Duration

	// DatabaseURL is required.
	DatabaseURL secret.Source
	// DatabaseConns is the size of the connection pool.
	DatabaseConns int

	// JWTSecret is required and has 32 bytes or more.
	JWTSecret secret.Source
	// JWTPrevious is not given unless a rotation is under way.
	JWTPrevious secret.Source
	// Tokens is what tokens must claim; the zero value demands nothing.
	Tokens auth.Policy

	// Storage is where files are kept: a directory or an s3:// URL; without it there are none.
	Storage string
	// FileSizeMiB is how large a file may be, FileQuotaMiB all files of a user together.
	FileSizeMiB, FileQuotaMiB int
	// JobWorkers is how many jobs the process does at once.
	JobWorkers int
	// JobPatience is how long another process may be silent before its jobs are taken over.
	JobPatience time.Duration

	// NotesKeyset is what private notes are encrypted with; without it there are none.
	NotesKeyset secret.Source
}

// area is a part of the configuration; a command asks for those that it uses.
type area int

const (
	process area = 1 << iota
	serving
	database
	tokens
	notes
)

// Variables that are not part of the contract with the operator.
const (
	envLogLevel        = "LOG_LEVEL"
	envAPIAddr         = "API_ADDR"
	envOpsAddr         = "OPS_ADDR"
	envOrigins         = "CORS_ORIGIN"
	envBaseSettings    = "BASE_SETTINGS"
	envTraces          = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envRequestTimeout  = "REQUEST_TIMEOUT"
	envDrainDelay      = "DRAIN_DELAY"
	envShutdownTimeout = "SHUTDOWN_TIMEOUT"
	envDatabaseURL     = "DATABASE_URL"
	envDatabaseConns   = "DATABASE_MAX_CONNS"
	envJWTSecret       = "JWT_SECRET"
	envJWTPrevious     = "JWT_PREVIOUS_SECRET"
	envStorage         = "STORAGE"
	envFileSize        = "FILE_MAX_MIB"
	envFileQuota       = "FILE_QUOTA_MIB"
	envJobWorkers      = "JOB_WORKERS"
	envJobPatience     = "JOB_PATIENCE"
	envNotesKeyset     = "NOTES_KEYSET"
	envNotesKeysetFile = "NOTES_KEYSET_FILE"
)

// variable is one setting: where it comes from, what it is when nobody says, and how it is understood.
type variable struct {
	area     area
	env      string
	flag     string // empty: no flag, because command lines can be read by others
	fallback string
	usage    string
	set      func(c *Config, text string) error
}

// variables is the whole configuration apart from the secrets.
func variables() []variable {
	return []variable{
		{process, contract.EnvEnvironment, "environment", "local", "name of the environment", setName(func(c *Config) *string { return &c.Environment })},
		{process, contract.EnvRelease, "release", buildVersion(), "name of the release, sent as " + contract.ReleaseHeader, setName(func(c *Config) *string { return &c.Release })},
		{process, envLogLevel, "log-level", "info", "debug, info, warn or error", setLevel},
		{serving, envAPIAddr, "api-addr", ":" + strconv.Itoa(contract.APIPort), "where the API listens", setText(func(c *Config) *string { return &c.APIAddr })},
		{serving, envOpsAddr, "ops-addr", ":" + strconv.Itoa(contract.OperationsPort), "where probes and metrics listen", setText(func(c *Config) *string { return &c.OpsAddr })},
		{serving, envOrigins, "cors-origin", "", "origins whose pages may call, separated by commas, or *", setOrigins},
		{serving, envBaseSettings, "base-settings", "", "settings, as YAML or JSON, that hold where no generation says otherwise", setSettings},
		{serving, contract.EnvSettingsDir, "settings-dir", "", "directory of settings generations", setText(func(c *Config) *string { return &c.SettingsDir })},
		{serving, contract.EnvSettingsGenerationFile, "settings-generation-file", "", "file with the generation that this process uses", setText(func(c *Config) *string { return &c.SettingsGenerationFile })},
		{serving, envTraces, "otlp-endpoint", "", "URL of a collector of traces (OTLP over HTTP), such as http://collector:4318", setURL(func(c *Config) *string { return &c.Traces })},
		{serving, envRequestTimeout, "request-timeout", "5s", "deadline of a request", setDuration(100*time.Millisecond, 5*time.Minute, func(c *Config) *time.Duration { return &c.RequestTimeout })},
		{serving, envDrainDelay, "drain-delay", "1s", "how long new requests are served after SIGTERM", setDuration(0, time.Minute, func(c *Config) *time.Duration { return &c.DrainDelay })},
		{serving, envShutdownTimeout, "shutdown-timeout", "20s", "how long running requests may take after that", setDuration(time.Second, 10*time.Minute, func(c *Config) *time.Duration { return &c.ShutdownTimeout })},
		{serving, envDatabaseConns, "database-max-conns", "10", "size of the connection pool", setInt(1000, func(c *Config) *int { return &c.DatabaseConns })},
		{serving, envStorage, "storage", "", "where files are kept: a directory, or an s3:// URL; empty is nowhere", setStorage},
		{serving, envFileSize, "file-max-mib", "50", "how many MiB a file may have", setInt(1024, func(c *Config) *int { return &c.FileSizeMiB })},
		{serving, envFileQuota, "file-quota-mib", "1024", "how many MiB the files of a user may have together", setInt(1<<20, func(c *Config) *int { return &c.FileQuotaMiB })},
		{serving, envJobWorkers, "job-workers", "2", "how many jobs are done at once", setInt(100, func(c *Config) *int { return &c.JobWorkers })},
		{serving, envJobPatience, "job-patience", "20s", "how long another process may be silent before its jobs are taken over", setDuration(time.Second, 10*time.Minute, func(c *Config) *time.Duration { return &c.JobPatience })},
		{tokens, contract.EnvJWTIssuer, "jwt-issuer", "", "required iss claim", setText(func(c *Config) *string { return &c.Tokens.Issuer })},
		{tokens, contract.EnvJWTAudience, "jwt-audience", "", "required aud claim", setText(func(c *Config) *string { return &c.Tokens.Audience })},
	}
}

// secretVariable is one secret: the path of a file, or, for development, the value itself.
type secretVariable struct {
	area     area
	fileEnv  string
	fileFlag string
	valueEnv string
	required bool
	usage    string
	field    func(c *Config) *secret.Source
}

func secretVariables() []secretVariable {
	return []secretVariable{
		{database, contract.EnvDatabaseURLFile, "database-url-file", envDatabaseURL, true, "file with the PostgreSQL connection URL", func(c *Config) *secret.Source { return &c.DatabaseURL }},
		{tokens, contract.EnvJWTSecretFile, "jwt-secret-file", envJWTSecret, true, "file with the secret that signs tokens", func(c *Config) *secret.Source { return &c.JWTSecret }},
		{tokens, contract.EnvJWTPreviousSecretFile, "jwt-previous-secret-file", envJWTPrevious, false, "file with the secret used before", func(c *Config) *secret.Source { return &c.JWTPrevious }},
		{notes, envNotesKeysetFile, "notes-keyset-file", envNotesKeyset, false, "file with the keyset of private notes", func(c *Config) *secret.Source { return &c.NotesKeyset }},
	}
}

// addFlags adds the flags of the areas to a command. A flag overrides its variable.
func addFlags(flags *pflag.FlagSet, areas area) {
	for _, v := range variables() {
		if v.area&areas != 0 {
			flags.String(v.flag, "", fmt.Sprintf("%s ($%s, default %q)", v.usage, v.env, v.fallback))
		}
	}
	for _, s := range secretVariables() {
		if s.area&areas != 0 {
			flags.String(s.fileFlag, "", fmt.Sprintf("%s ($%s, or the value itself in $%s)", s.usage, s.fileEnv, s.valueEnv))
		}
	}
}

// loadConfig reads the areas from flags, environment and defaults, in this order, and reports everything that is wrong
// at once.
func loadConfig(flags *pflag.FlagSet, getenv func(string) string, areas area) (Config, error) {
	var c Config
	var problems []error
	for _, v := range variables() {
		if v.area&areas == 0 {
			continue
		}
		text := firstOf(flagText(flags, v.flag), getenv(v.env), v.fallback)
		if err := v.set(&c, text); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", v.env, err))
		}
	}
	for _, s := range secretVariables() {
		if s.area&areas == 0 {
			continue
		}
		source, err := s.source(flags, getenv)
		if err != nil {
			problems = append(problems, err)
		}
		*s.field(&c) = source
	}
	if err := errors.Join(problems...); err != nil {
		return Config{}, fmt.Errorf("configuration:\n%w", err)
	}
	return c, nil
}

// source finds where a secret comes from and makes sure that it can be read now.
func (s secretVariable) source(flags *pflag.FlagSet, getenv func(string) string) (secret.Source, error) {
	path, value := firstOf(flagText(flags, s.fileFlag), getenv(s.fileEnv)), getenv(s.valueEnv)
	switch {
	case path != "" && value != "":
		return secret.Source{}, fmt.Errorf("%s and %s: both are set; set one of them", s.fileEnv, s.valueEnv)
	case path == "" && value == "" && s.required:
		return secret.Source{}, fmt.Errorf("%s: is required; set it to the path of the %s, or %s to the value", s.fileEnv, s.usage, s.valueEnv)
	case path == "":
		return secret.FromValue(value), s.checkSecret(s.valueEnv, value)
	}
	source := secret.FromFile(path)
	read, err := source.Read()
	if err != nil && s.required {
		return secret.Source{}, fmt.Errorf("%s: %w; set it to the path of the %s", s.fileEnv, err, s.usage)
	}
	return source, s.checkSecret(s.fileEnv, read)
}

// checkSecret refuses a signing secret that is too short to be one.
func (s secretVariable) checkSecret(name, value string) error {
	if s.area == tokens && (s.required || value != "") && len(value) < auth.MinSecret {
		return fmt.Errorf("%s: has %d bytes, but needs at least %d; make one with: openssl rand -base64 48",
			name, len(value), auth.MinSecret)
	}
	return nil
}

func flagText(flags *pflag.FlagSet, name string) string {
	text, err := flags.GetString(name)
	if err != nil {
		return ""
	}
	return text
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// nameForm is what may stand in a header and a metric label and is still readable.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+@:/()-]{0,252}$`)

func setName(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, text string) error {
		if !nameForm.MatchString(text) {
			return fmt.Errorf("%q is no name; use letters, digits, dots and hyphens", text)
		}
		*field(c) = text
		return nil
	}
}

func setText(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, text string) error {
		*field(c) = text
		return nil
	}
}

func setSettings(c *Config, text string) (err error) {
	c.BaseSettings, err = settings.Decode([]byte(text))
	return err
}

func setLevel(c *Config, text string) (err error) {
	c.LogLevel, err = telemetry.ParseLevel(text)
	return err
}

func setOrigins(c *Config, text string) error {
	for origin := range strings.SplitSeq(text, ",") {
		origin = strings.TrimSpace(origin)
		if origin == "" {
			continue
		}
		if found := (settings.Settings{CORS: &settings.CORS{Origins: []string{origin}}}).Validate(); len(found) > 0 {
			return fmt.Errorf("%q %s", origin, found[0].Message)
		}
		c.Origins = append(c.Origins, origin)
	}
	return nil
}

// setStorage takes an absolute path or the URL of a bucket, or nothing.
func setStorage(c *Config, text string) error {
	if text != "" && !filepath.IsAbs(text) && !strings.HasPrefix(text, "s3://") {
		return errors.New("is neither an absolute path nor an s3:// URL; write it like /var/lib/scores or s3://bucket?region=eu-central-1")
	}
	c.Storage = text
	return nil
}

// setURL takes the URL of a server, or nothing.
func setURL(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, text string) error {
		parsed, err := url.Parse(text)
		if text != "" && (err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https")) {
			return fmt.Errorf("%q is no URL; write it like http://collector:4318", text)
		}
		*field(c) = text
		return nil
	}
}

func setDuration(least, greatest time.Duration, field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < least || d > greatest {
			return fmt.Errorf("%q is no duration from %s to %s; write it like 5s", text, least, greatest)
		}
		*field(c) = d
		return nil
	}
}

func setInt(greatest int, field func(*Config) *int) func(*Config, string) error {
	return func(c *Config, text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > greatest {
			return fmt.Errorf("%q is no whole number from 1 to %d", text, greatest)
		}
		*field(c) = n
		return nil
	}
}
