// Package contract is what the operator and a service agree on: ports, paths, headers, environment variables, file
// names, and the report that mirubato-migrate hands back. An image that keeps to it can be run by the operator,
// whatever language it is written in; docs/service-contract.md is its prose.
//
// It owns names and shapes, no behaviour, and imports nothing of Kubernetes, so that a service may import it.
package contract

import "strconv"

// Ports on which a service listens.
const (
	// APIPort serves the API, and the three probes as well, for whoever cannot reach OperationsPort.
	APIPort = 8080
	// OperationsPort serves the probes and the metrics. It is never exposed outside the cluster.
	OperationsPort = 9090
)

// Paths that answer on OperationsPort; all but MetricsPath answer on APIPort too.
const (
	// LivezPath answers 200 while the process can serve; it touches no dependency.
	LivezPath = "/livez"
	// ReadyzPath answers 200 when requests may be sent here: the database answers and its schema is at least the
	// lowest that this release can run on. It is never an equality, so that old pods survive a newer schema.
	ReadyzPath = "/readyz"
	// HealthPath answers with a JSON report on every dependency.
	HealthPath = "/health"
	// MetricsPath answers in the Prometheus text format.
	MetricsPath = "/metrics"
)

// SettingsPath takes settings by PUT, on OperationsPort alone: see SettingsPush. It is optional.
const SettingsPath = "/settings"

// ReleaseHeader carries, on every response of the API, the value of EnvRelease, so that a smoke test knows whom it asked.
const ReleaseHeader = "X-Release"

// SyntheticHeader marks requests that the operator sends when there are too few to judge a release. Its value does not matter.
// A service counts them apart, in SyntheticRequestsMetric and SyntheticDurationMetric, so that they do not look like users.
const SyntheticHeader = "X-Synthetic"

// Metrics by which the operator compares two releases. Series are added up over all labels; a series whose RouteLabel is the
// path of a probe or of the metrics is left out.
const (
	// RequestsMetric is a counter of the requests that were answered, with StatusLabel.
	RequestsMetric = "http_requests_total"
	// RequestDurationMetric is a histogram of the time that answers took, in seconds, with classic buckets.
	RequestDurationMetric = "http_request_duration_seconds"
	// RequestRateMetric is RequestsMetric as an autoscaler follows it, by the second: an adapter of the custom metrics API makes it.
	RequestRateMetric = "http_requests_per_second"
	// SyntheticRequestsMetric and SyntheticDurationMetric are the same of requests with SyntheticHeader.
	SyntheticRequestsMetric = "http_synthetic_requests_total"
	SyntheticDurationMetric = "http_synthetic_request_duration_seconds"
	// CacheRequestsMetric is an optional counter of the lookups of caches, with OutcomeLabel: OutcomeHit, OutcomeStale or
	// OutcomeMiss. Others are left out.
	CacheRequestsMetric = "cache_requests_total"
	OutcomeLabel        = "outcome"
	OutcomeHit          = "hit"
	OutcomeStale        = "stale"
	OutcomeMiss         = "miss"
	// StatusLabel is the status of the answer, such as "200". From "500" on, the request has failed; with "429" it was refused
	// because of a limit.
	StatusLabel = "status"
	// RouteLabel is optional: the pattern of the path, such as "/api/songs/{id}".
	RouteLabel = "route"
)

// Metrics by which the operator sees to it that a rollout does not take more connections than the database has. Both are optional.
const (
	// ConnectionsMetric is a gauge: how many connections to its database the pod opens at most.
	ConnectionsMetric = "database_connections"
	// ConnectionsAvailableMetric is a gauge: how many connections the database has for all pods of the service together, absent
	// while that is not known.
	ConnectionsAvailableMetric = "database_connections_available"
)

// Environment variables that the operator sets in every container of a service. Secrets come as files, never as
// values, so that they appear in no process listing and can be rotated in place.
const (
	// EnvEnvironment is the name of the environment, such as "production".
	EnvEnvironment = "ENVIRONMENT"
	// EnvRelease names the release that the pod belongs to.
	EnvRelease = "RELEASE"
	// EnvDatabaseURLFile is the path of a file holding the PostgreSQL connection URL.
	EnvDatabaseURLFile = "DATABASE_URL_FILE"
	// EnvJWTSecretFile is the path of a file holding the secret that signs and verifies tokens.
	EnvJWTSecretFile = "JWT_SECRET_FILE"
	// EnvJWTPreviousSecretFile is the path of a file holding the secret that was used before; it only verifies. Set
	// during a rotation.
	EnvJWTPreviousSecretFile = "JWT_PREVIOUS_SECRET_FILE"
	// EnvJWTIssuer is the required iss claim; empty means that none is required.
	EnvJWTIssuer = "JWT_ISSUER"
	// EnvJWTAudience is the required aud claim; empty means that none is required.
	EnvJWTAudience = "JWT_AUDIENCE"
	// EnvStorage says where the service keeps files: the path of a directory, which may have to be made, or the URL of a bucket,
	// s3://BUCKET?region=R, with endpoint, use_path_style, disable_https and prefix as further parameters.
	EnvStorage = "STORAGE"
	// EnvStorageCredentialsFile is the path of the file, in the form that every SDK of AWS reads, with the credentials of the bucket. It
	// may change at any time.
	EnvStorageCredentialsFile = "AWS_SHARED_CREDENTIALS_FILE"
	// EnvSettingsDir is the directory of settings generations; without it a service runs with its defaults.
	EnvSettingsDir = "SETTINGS_DIR"
	// EnvSettingsGenerationFile is the path of the file that holds the pod's own generation, see SettingsGenerationFile.
	EnvSettingsGenerationFile = "SETTINGS_GENERATION_FILE"
	// EnvMigrationsDir is the directory into which the export command writes the migration files.
	EnvMigrationsDir = "MIGRATIONS_DIR"
)

// Files that the operator mounts. DatabaseDir, AuthDir, StorageDir and SecretsDir are whole directories, not single files, because the
// kubelet refreshes only those when a Secret changes.
const (
	DatabaseDir      = "/var/run/mirubato/database"
	DatabaseURLFile  = DatabaseDir + "/url"
	AuthDir          = "/var/run/mirubato/auth"
	AuthSecretFile   = AuthDir + "/secret"
	AuthPreviousFile = AuthDir + "/previous"
	// StorageDir holds the credentials of the storage. VolumeDir is where a file system is mounted, and FilesDir the directory in it
	// that EnvStorage names: the root of a volume may hold what is not the service's.
	StorageDir             = "/var/run/mirubato/storage"
	StorageCredentialsFile = StorageDir + "/credentials"
	VolumeDir              = "/var/lib/mirubato"
	FilesDir               = VolumeDir + "/files"
	// SecretsDir holds a file for each variable of spec.workload.env that refers to a Secret, see SecretFile.
	SecretsDir         = "/var/run/mirubato/secrets"
	MigrationsDir      = "/migrations"
	TerminationMessage = "/dev/termination-log"
)

// How live settings reach a pod. SettingsDir holds one file for each generation, see SettingsFile, with settings as in api/settings.
// SettingsCurrentFile in it holds the number of the generation for pods that have none of their own. A pod's own generation is
// the value of SettingsGenerationAnnotation, which the downward API writes to SettingsGenerationFile: changing the annotation makes
// the kubelet refresh both volumes at once. Both are mounted as whole directories, never as single files.
const (
	SettingsDir                  = "/var/run/mirubato/settings"
	SettingsCurrentFile          = "current"
	PodDir                       = "/var/run/mirubato/pod"
	SettingsGenerationFile       = PodDir + "/settings-generation"
	SettingsGenerationAnnotation = "platform.mirubato.com/settings-generation"
	// SettingsSequenceFile is the same of SettingsSequenceAnnotation, a number that grows whenever the pod is told another generation.
	// Empty stands for 0. It tells whether these files or a SettingsPush are newer.
	SettingsSequenceFile       = PodDir + "/settings-sequence"
	SettingsSequenceAnnotation = "platform.mirubato.com/settings-sequence"
	// SettingsKeyFile, in SettingsDir, is the key by which a SettingsPush is verified: Ed25519, PKIX in PEM. It may be absent and may
	// change at any time.
	SettingsKeyFile = "key.pem"
)

// The media type of a SettingsPush and the typ of its header, so that no other token by the same key is taken for one (RFC 8725,
// section 3.11).
const (
	SettingsPushMediaType = "application/jwt"
	SettingsPushType      = "mirubato-settings+jwt"
)

// SettingsPush are the claims of a JWT (RFC 7519), signed with EdDSA, by which a pod gets what the files will say once the kubelet has
// written them. It is in force until the files are as new.
type SettingsPush struct {
	// Nonce is the one that the pod last told: the token is for this process, and good once.
	Nonce string `json:"nonce"`
	// Generation is the number of the settings, and Settings what SettingsFile of it holds.
	Generation int64  `json:"generation"`
	Settings   string `json:"settings"`
	// Sequence is the value of SettingsSequenceAnnotation with which Generation was told.
	Sequence int64 `json:"sequence"`
}

// SettingsReport is what HealthPath says under "settings", and SettingsPath of what it was given.
type SettingsReport struct {
	// Generation is the one in force; 0 before there was a good one.
	Generation int64 `json:"generation"`
	// Rejected is the one that is wanted and was refused.
	Rejected int64 `json:"rejected,omitempty"`
	// Error says why.
	Error string `json:"error,omitempty"`
	// Nonce is to be in the next SettingsPush; empty where none is taken.
	Nonce string `json:"nonce,omitempty"`
}

// SecretFile is the path of the file that a variable refers to.
func SecretFile(variable string) string { return SecretsDir + "/" + variable }

// SettingsFile is the name of a generation's file. Generations are numbered from 1.
func SettingsFile(generation int64) string { return strconv.FormatInt(generation, 10) + ".yaml" }

// Metrics by which a pod says which settings it runs with; HealthPath says the same under "settings".
const (
	// SettingsGenerationMetric is a gauge: the generation in force, 0 before there was a good one.
	SettingsGenerationMetric = "settings_generation"
	// SettingsRejectedMetric is a gauge: the generation that was refused and is still the one wanted, 0 if there is none.
	SettingsRejectedMetric = "settings_rejected_generation"
	// SettingsErrorMetric is a gauge: 1 while the settings wanted are not those in force, else 0.
	SettingsErrorMetric = "settings_error"
)

// ExportArgs are the arguments with which the operator starts a service image whose Microservice names no export
// command: it shall write its migration files into MigrationsDir and exit with 0.
func ExportArgs() []string { return []string{"migrations", "export", MigrationsDir} }
