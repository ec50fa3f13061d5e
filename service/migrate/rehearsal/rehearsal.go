// Package rehearsal applies pending migrations to a copy of the database first, with the same engine that will apply them for good, and
// records what each statement did: how long it took, what it locked, what it rewrote.
//
// It owns the rehearsal and its report. The copy is made by the package backup, the migrations are applied by the package migrate;
// whether a rehearsal allows anything is contract.RehearsalReport.Admits.
package rehearsal

import (
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/migrate/backup"
)

// Config says what to rehearse on what.
type Config struct {
	// DatabaseURL leads to the database that the migrations are meant for. It is read, never changed. It is a secret.
	DatabaseURL string
	Mode        contract.RehearsalMode
	// Phase says which files are rehearsed; empty means migrate.Expand.
	Phase migrate.Phase
	// Location and Backup are the directory and the name of the backup to try on, in mode Data.
	Location, Backup string
	// Scratch is an existing directory with room for the copy.
	Scratch string
	// Files holds the migrations at its top.
	Files fs.FS
	// Log gets one record for each thing that happens.
	Log *slog.Logger
}

// Run rehearses. The report is complete also when the error, always a *migrate.Error, is not nil.
func Run(ctx context.Context, cfg Config) (contract.RehearsalReport, error) {
	r := &run{Config: cfg, report: NewReport(cfg.Mode, cfg.Phase, nil)}
	if err := r.run(ctx); err != nil {
		failure := asFailure(ctx, err)
		r.report.Passed, r.report.Error = false, &failure.MigrationError
		return r.report, failure
	}
	return r.report, nil
}

// NewReport is the report of a rehearsal that has not begun; failure may be nil.
func NewReport(mode contract.RehearsalMode, phase migrate.Phase, failure *migrate.Error) contract.RehearsalReport {
	report := contract.RehearsalReport{
		ReportVersion: contract.RehearsalReportVersion, Mode: mode, Phase: string(cmp.Or(phase, migrate.Expand)), From: -1, To: -1,
	}
	if failure != nil {
		report.Error = &failure.MigrationError
	}
	return report
}

func asFailure(ctx context.Context, err error) *migrate.Error {
	if ctx.Err() != nil {
		return migrate.NewError(contract.Interrupted, "the rehearsal was told to stop; nothing is left of it")
	}
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return failure
	}
	return migrate.NewError(contract.BackupFailed, err.Error())
}

// run is one call of Run.
type run struct {
	Config
	report contract.RehearsalReport
}

func (r *run) run(ctx context.Context) (err error) {
	r.Log.InfoContext(ctx, "copying the database", "mode", string(r.Mode))
	var copied *backup.Copy
	if r.Mode == contract.RehearsalOnData {
		r.report.Backup = r.Backup
		copied, err = backup.CopyBackup(ctx, r.DatabaseURL, r.Location, r.Backup, r.Scratch)
	} else {
		copied, err = backup.CopySchema(ctx, r.DatabaseURL, r.Scratch)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close(ctx)) }()
	if err := r.look(ctx, copied.URL); err != nil {
		return err
	}
	status, err := migrate.ReadStatus(ctx, migrate.Config{DatabaseURL: copied.URL, Files: r.Files})
	if err != nil {
		return err
	}
	applied, err := migrate.Up(ctx, migrate.Config{
		// The copy belongs to whom the database belongs; an empty name is that of nobody in particular.
		DatabaseURL: copied.URL, Phase: r.Phase, Files: r.Files, LockID: status.Owner, Retries: -1, Log: r.Log,
		Wrap: func(migration string, c driver.Connector) driver.Connector {
			return connector{Connector: c, migration: migration, see: r.see}
		},
	})
	r.report.From, r.report.To = applied.From, applied.To
	if err != nil {
		return err
	}
	for _, a := range applied.Applied {
		file, err := migrate.Describe(r.Files, a.Name)
		if err != nil {
			return err
		}
		r.report.Files = append(r.report.Files, file)
	}
	if r.report.FingerprintAfter, err = fingerprint(ctx, copied.URL, ofCopy); err != nil {
		return err
	}
	r.report.Passed = true
	return nil
}

// look reports both schemas before anything is done to the copy.
func (r *run) look(ctx context.Context, copied string) (err error) {
	if r.report.DatabaseFingerprint, err = fingerprint(ctx, r.DatabaseURL, ofDatabase); err != nil {
		return err
	}
	r.report.FingerprintBefore, err = fingerprint(ctx, copied, ofCopy)
	return err
}

// see is called by the one connection that applies a file.
func (r *run) see(s contract.RehearsedStatement) {
	r.report.Statements = append(r.report.Statements, s)
}

// whose is the schema that is looked at.
type whose string

const (
	ofCopy     whose = "the copy"
	ofDatabase whose = "the database"
)

func fingerprint(ctx context.Context, databaseURL string, of whose) (string, error) {
	access, err := migrate.ParseAccess(databaseURL)
	if err != nil {
		return "", err
	}
	db, err := access.Open()
	if err != nil {
		return "", access.Failure(ctx, contract.BackupFailed, "connecting to "+string(of), err)
	}
	defer func() { _ = db.Close() }()
	return migrate.Fingerprint(ctx, db)
}

// FitReport encodes a report in at most limit bytes. A longer one loses its quickest statements, and then the end of its message.
func FitReport(report contract.RehearsalReport, limit int) ([]byte, error) {
	for {
		line, err := json.Marshal(report)
		if err != nil {
			return nil, fmt.Errorf("encoding the report: %w", err)
		}
		switch {
		case len(line) <= limit:
			return line, nil
		case len(report.Statements) > 0:
			report.Statements = withoutQuickest(report.Statements)
			report.StatementsLeftOut++
		case report.Error != nil && report.Error.Message != "":
			shorter := *report.Error
			runes := []rune(shorter.Message)
			shorter.Message = string(runes[:len(runes)*3/4])
			report.Error = &shorter
		default:
			return nil, fmt.Errorf("a report cannot be cut to %d bytes", limit)
		}
	}
}

func withoutQuickest(all []contract.RehearsedStatement) []contract.RehearsedStatement {
	quickest := slices.MinFunc(all, func(a, b contract.RehearsedStatement) int { return cmp.Compare(a.Duration, b.Duration) })
	at := slices.IndexFunc(all, func(s contract.RehearsedStatement) bool { return s.Duration == quickest.Duration })
	return slices.Delete(slices.Clone(all), at, at+1)
}
