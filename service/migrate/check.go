package migrate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

// Check says what Up would do with the same Config, and what speaks against doing it now. It changes nothing, and takes the lock of no
// run. The report is complete also when the error, always an *Error, is not nil. Lint, which needs a parser, is
// added by who calls, with AddLint.
func Check(ctx context.Context, cfg Config) (contract.CheckReport, error) {
	c := checker{Config: cfg.withDefaults()}
	c.report = NewCheckReport(c.Phase, nil)
	if err := c.run(ctx); err != nil {
		failure := classify(ctx, err)
		failure.Message = c.target.redact(failure.Message)
		c.report.Error = &failure.MigrationError
		return c.report, failure
	}
	c.report.Passed = true
	return c.report, nil
}

// NewCheckReport is the report of a check that has come to know nothing; failure may be nil.
func NewCheckReport(phase Phase, failure *Error) contract.CheckReport {
	report := contract.CheckReport{
		ReportVersion: contract.CheckReportVersion, Phase: string(cmp.Or(phase, Expand)), Schema: contract.SchemaState{Current: -1},
	}
	if failure != nil {
		report.Error = &failure.MigrationError
	}
	return report
}

// checker is one call of Check.
type checker struct {
	Config
	target target
	report contract.CheckReport
}

func (c *checker) run(ctx context.Context) error {
	files, backfills, err := loadAll(c.Files)
	if err != nil {
		return err
	}
	minimum, err := readMinimum(c.Files, files)
	if err != nil {
		return err
	}
	c.report.Schema.Target, c.report.Schema.Minimum = files[len(files)-1].version, minimum
	if c.target, err = newTarget(c.Config); err != nil {
		return err
	}
	db := c.target.open(c.StatementLockTimeout)
	defer func() { _ = db.Close() }()
	if err := db.PingContext(ctx); err != nil {
		return &databaseError{act: c.target.act(), cause: err}
	}
	s, err := readState(ctx, db)
	if err != nil {
		return err
	}
	c.report.Schema = schemaState(s, files, minimum)
	if c.report.Fingerprint, err = Fingerprint(ctx, db); err != nil {
		return err
	}
	c.report.Backfills = describeBackfills(backfills, files, s, time.Now())
	p, planErr := newPlan(files, backfills, s, c.Phase)
	if planErr == nil {
		planErr = checkOwner(s.owner, c.LockID)
	}
	c.report.Pending, c.report.Held = describeFiles(p.pending), describeFiles(p.held)
	seen, err := c.observe(ctx, db, p)
	if err != nil {
		return err
	}
	c.report.Database = seen.identity
	c.report.Preflight = preflight(seen)
	if planErr != nil {
		return planErr
	}
	return blocked(c.report.Preflight, len(p.pending) > 0)
}

func schemaState(s state, files []file, minimum int64) contract.SchemaState {
	floor := s.history.floor()
	return contract.SchemaState{
		Current: s.history.current(), Target: files[len(files)-1].version, Floor: floor.version, FloorMigration: floor.name,
		Minimum: minimum, Owner: s.owner,
	}
}

// readMinimum returns the lowest version on which the image says that it can run; the highest expand file if it says nothing.
func readMinimum(source fs.FS, files []file) (int64, error) {
	var highest int64
	for _, f := range files {
		if f.phase == Expand {
			highest = f.version
		}
	}
	content, err := fs.ReadFile(source, contract.MinimumSchemaFile)
	if errors.Is(err, fs.ErrNotExist) {
		return highest, nil
	}
	if err != nil {
		return 0, invalid(contract.MinimumSchemaFile, errors.New("the file cannot be read"))
	}
	minimum, err := strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64)
	if err != nil || minimum < 0 || minimum > highest {
		return 0, invalid(contract.MinimumSchemaFile, fmt.Errorf("line 1: it must be a number between 0 and %d, the highest expand migration", highest))
	}
	return minimum, nil
}

// blocked makes one error of the findings that block. With nothing to apply nothing is in the way.
func blocked(findings []contract.PreflightFinding, pending bool) error {
	var first *contract.PreflightFinding
	waiting := true
	for i, f := range findings {
		if f.Level != contract.LintBlock {
			continue
		}
		if first == nil || first.Waiting && !f.Waiting {
			first = &findings[i]
		}
		waiting = waiting && f.Waiting
	}
	if first == nil || !pending {
		return nil
	}
	code := contract.PreflightRefused
	if waiting {
		code = contract.PreflightWaiting
	}
	return newError(code, "", first.Rule+": "+first.Message+": "+first.Fix, nil)
}

// AddLint adds what lint says about the pending files to a report, and to err, which Check has returned with it: findings that block in one
// of gates come before what time may mend.
func AddLint(report *contract.CheckReport, err error, found contract.LintReport, gates []contract.LintGate) error {
	report.Lint = &found
	if len(gates) == 0 || !found.Blocks(gates...) {
		return err
	}
	if known, ok := errors.AsType[*Error](err); ok && known.Code != contract.PreflightWaiting {
		return err
	}
	var first contract.LintFinding
	blocking := 0
	for _, f := range found.Findings {
		if f.Level != contract.LintBlock || !slices.Contains(gates, f.Gate) {
			continue
		}
		if blocking++; blocking == 1 {
			first = f
		}
	}
	failure := newError(contract.LintBlocked, first.File, fmt.Sprintf("line %d: %s: %s", first.Line, first.Rule, first.Message), nil)
	if blocking > 1 {
		failure.Message += fmt.Sprintf("; and %d more", blocking-1)
	}
	failure.Line = first.Line
	report.Passed, report.Error = false, &failure.MigrationError
	return failure
}

// FitCheckReport encodes a report in at most limit bytes. A longer one loses findings, those that weigh least first, then the files that
// it holds and those that are pending, the last first, and then the end of its message.
func FitCheckReport(report contract.CheckReport, limit int) ([]byte, error) {
	if report.Lint != nil {
		own := *report.Lint
		report.Lint = &own
	}
	for {
		line, err := json.Marshal(report)
		if err != nil {
			return nil, fmt.Errorf("encoding the report: %w", err)
		}
		over := len(line) - limit
		if over <= 0 {
			return line, nil
		}
		if !shrink(&report, over) {
			return nil, fmt.Errorf("a report cannot be cut to %d bytes", limit)
		}
	}
}

func shrink(r *contract.CheckReport, over int) bool {
	switch {
	case r.Lint != nil && len(r.Lint.Findings) > 0:
		r.Lint.Findings = withoutLightest(r.Lint.Findings)
	case len(r.Preflight) > 1:
		r.Preflight = r.Preflight[:len(r.Preflight)-1]
	case len(r.Held) > 0:
		r.Held = r.Held[:len(r.Held)-1]
	case len(r.Pending) > 0:
		r.Pending = r.Pending[:len(r.Pending)-1]
	case len(r.Preflight) > 0:
		r.Preflight = nil
	case len(r.Backfills) > 0:
		r.Backfills = r.Backfills[:len(r.Backfills)-1]
	case r.Error != nil && r.Error.Message != "":
		shorter := *r.Error
		shorter.Message = cut(shorter.Message, min(over, 1+len(shorter.Message)/4))
		r.Error = &shorter
		return true
	default:
		return false
	}
	r.LeftOut++
	return true
}

// withoutLightest leaves out the last of the findings that weigh least.
func withoutLightest(all []contract.LintFinding) []contract.LintFinding {
	at := len(all) - 1
	for i := at; i >= 0; i-- {
		if weight[all[i].Level] > weight[all[at].Level] {
			at = i
		}
	}
	return slices.Delete(slices.Clone(all), at, at+1)
}

// weight puts what blocks first.
var weight = map[contract.LintLevel]int{contract.LintBlock: 0, contract.LintWarn: 1, contract.LintInfo: 2}

func sortFindings(all []contract.PreflightFinding) {
	slices.SortStableFunc(all, func(a, b contract.PreflightFinding) int { return cmp.Compare(weight[a.Level], weight[b.Level]) })
}
