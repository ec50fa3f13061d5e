package contract

// LintReport is what `mirubato-migrate lint --format json` prints. Exit code 0 goes with a report without a finding of level
// block, 1 with one that has any; 2 is about flags and arguments.
type LintReport struct {
	// Files and Statements are how many were judged. Files that the database has applied already do not count.
	Files      int `json:"files"`
	Statements int `json:"statements"`
	// Unanalysable is how many of the statements, and of the files without any, could not be judged. Each has a finding that says why.
	Unanalysable int `json:"unanalysable"`
	// Findings are in the order of files and lines; never null.
	Findings []LintFinding `json:"findings"`
}

// Blocks says whether a finding of one of these gates is of level block; without gates, of any gate.
func (r LintReport) Blocks(gates ...LintGate) bool {
	for _, f := range r.Findings {
		if f.Level != LintBlock {
			continue
		}
		if len(gates) == 0 {
			return true
		}
		for _, gate := range gates {
			if f.Gate == gate {
				return true
			}
		}
	}
	return false
}

// LintFinding is one thing that a rule has to say about one statement.
type LintFinding struct {
	// File is the name as it was given.
	File string `json:"file"`
	// Line and Column are where it begins, counted from 1; the column counts characters.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Rule is the name under which it can be acknowledged.
	Rule  string    `json:"rule"`
	Gate  LintGate  `json:"gate"`
	Level LintLevel `json:"level"`
	// Message says in one sentence what is wrong. It quotes names of tables and columns, and no values.
	Message string `json:"message"`
	// Fix is the safe way.
	Fix string `json:"fix"`
	// Docs is the address of the page about the rule.
	Docs string `json:"docs"`
}

// LintGate says what a rule protects.
type LintGate string

// The gates of rules.
const (
	// LintCompatibility: the release before, which runs on the same schema, goes on working. Blocks in every environment.
	LintCompatibility LintGate = "compatibility"
	// LintLocks: nobody waits long for a table. Blocks where there is traffic.
	LintLocks LintGate = "locks"
	// LintRunner: the file can be applied, and applied again after it was interrupted. Blocks in every environment.
	LintRunner LintGate = "runner"
)

// LintLevel says what a finding does.
type LintLevel string

// The levels of findings.
const (
	// LintBlock keeps the files from being applied until they are changed or the finding is acknowledged.
	LintBlock LintLevel = "block"
	// LintWarn asks a person to look.
	LintWarn LintLevel = "warn"
	// LintInfo is worth knowing. A finding that was acknowledged is of this level, with the reason in its message.
	LintInfo LintLevel = "info"
)
