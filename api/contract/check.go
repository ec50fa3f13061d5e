package contract

// CheckReportVersion is the value of CheckReport.ReportVersion that this package describes.
const CheckReportVersion = 1

// CheckReport is what `mirubato-migrate check` prints as its last line of output and leaves as the container's termination
// message: what `up` would do, and what speaks against it. It changes nothing in the database. Exit codes: ExitOK when nothing
// blocks, ExitFailed when a finding blocks or the files do not fit the history, ExitUsage, ExitUnavailable. It never holds a
// connection string or data of a row.
type CheckReport struct {
	// ReportVersion is CheckReportVersion.
	ReportVersion int `json:"reportVersion"`
	// Schema is the schema version found; 0 means that nothing has been applied. -1 if it is not known.
	Schema int64 `json:"schema"`
	// Target is the highest version among the files.
	Target int64 `json:"target"`
	// Fingerprint is the hex SHA-256 of the catalogue: tables, columns, constraints, indexes, views, functions, triggers and types
	// outside the system's schemas. Two databases with the same one are built alike. Empty if it is not known.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Plan is the hex SHA-256 of versions and checksums of Pending; it stays whole where Pending is cut.
	Plan string `json:"plan,omitempty"`
	// Pending are the files that have not been applied, by version: first those of phase expand, which `up` applies, and behind
	// them those of phase contract, which it leaves alone.
	Pending []PendingMigration `json:"pending,omitempty"`
	// Lint judges the pending files. Nil if they could not be read.
	Lint *LintReport `json:"lint,omitempty"`
	// Preflight is what is wrong with the database at this moment.
	Preflight []PreflightFinding `json:"preflight,omitempty"`
	// Omitted is how many entries of Pending and of Lint.Findings were cut to fit a termination message.
	Omitted int `json:"omitted,omitempty"`
	// Error is nil unless the check could not be made.
	Error *MigrationError `json:"error,omitempty"`
}

// PendingMigration is one file that has not been applied.
type PendingMigration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	// Phase is "expand" or "contract".
	Phase string `json:"phase"`
	// Checksum is the hex SHA-256 that the database keeps once the file is applied.
	Checksum string `json:"checksum"`
}

// LintGate is a question that lint asks of every statement.
type LintGate string

// The gates of LintFinding.
const (
	// GateCompatibility: does the release before go on working on the result? It counts in every environment.
	GateCompatibility LintGate = "compatibility"
	// GateLocks: does it keep readers or writers waiting for longer than a moment? It counts where there is traffic.
	GateLocks LintGate = "locks"
	// GateRunner: can it be applied, and applied again after it was cut off? It counts in every environment.
	GateRunner LintGate = "runner"
)

// Level says what a finding asks for.
type Level string

// The levels of findings.
const (
	// LevelBlock: must not be applied as it is.
	LevelBlock Level = "block"
	// LevelWarn: a person should have thought of it.
	LevelWarn Level = "warn"
	// LevelInfo: good to know; it asks for nothing.
	LevelInfo Level = "info"
)

// LintReport is what lint says about some files, and what `mirubato-migrate lint --format json` prints.
type LintReport struct {
	// Files and Statements are how many were looked at, Unanalysable how many statements could not be judged.
	Files        int `json:"files"`
	Statements   int `json:"statements"`
	Unanalysable int `json:"unanalysable"`
	// Findings are in the order of files and lines; never null.
	Findings []LintFinding `json:"findings"`
}

// LintFinding is one objection.
type LintFinding struct {
	File string `json:"file"`
	// Line and Column are where the statement begins, counted from 1; columns are bytes.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Rule is the name to acknowledge it by.
	Rule  string   `json:"rule"`
	Gate  LintGate `json:"gate"`
	Level Level    `json:"level"`
	// Message says what happens, Fix what to write instead.
	Message string `json:"message"`
	Fix     string `json:"fix"`
	// Docs is the path of the rule's page in this repository.
	Docs string `json:"docs"`
}

// Blocks says whether a finding of one of gates blocks; without gates, of any.
func (r LintReport) Blocks(gates ...LintGate) bool {
	for _, f := range r.Findings {
		if f.Level != LevelBlock {
			continue
		}
		if len(gates) == 0 {
			return true
		}
		for _, g := range gates {
			if f.Gate == g {
				return true
			}
		}
	}
	return false
}

// PreflightCode names a circumstance in which migrating is unwise or impossible.
type PreflightCode string

// The codes of PreflightFinding, with the level that goes with each.
const (
	// PooledConnection: a pooler in transaction mode is in between; no session lock can be held (block).
	PooledConnection PreflightCode = "PooledConnection"
	// ReadOnlyServer: the server is a standby or refuses writes (block).
	ReadOnlyServer PreflightCode = "ReadOnlyServer"
	// OldTransaction: a transaction has been open for long; what waits for it holds up everybody (block, retryable).
	OldTransaction PreflightCode = "OldTransaction"
	// DumpRunning: a pg_dump holds a lock on every table (block, retryable).
	DumpRunning PreflightCode = "DumpRunning"
	// InvalidIndex: an index build was cut off and its remains cost every write (warn).
	InvalidIndex PreflightCode = "InvalidIndex"
	// MissingPrivilege: the role may not change a table that it does not own (warn).
	MissingPrivilege PreflightCode = "MissingPrivilege"
)

// PreflightFinding is something wrong with the database.
type PreflightFinding struct {
	Code  PreflightCode `json:"code"`
	Level Level         `json:"level"`
	// Message is for a person: one sentence, without secrets.
	Message string `json:"message"`
	// Retryable says that it may pass by itself.
	Retryable bool `json:"retryable"`
}
