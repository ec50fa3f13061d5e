package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

func newUpCommand(getenv func(string) string) *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Apply the expand migrations that have not been applied",
		Long: "Apply the expand migrations that have not been applied, and stop before the first contract migration.\n" +
			"The last line of output is the report. Exit codes: 0 done, 1 a migration failed, 2 wrong flags or files,\n" +
			"3 the database or a lock could not be had and the same call may succeed later.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return up(cmd.Context(), cmd.OutOrStdout(), cfg, getenv)
		},
	}
	cfg.addDir(cmd.Flags(), getenv)
	cfg.addUp(cmd.Flags())
	return cmd
}

func up(ctx context.Context, out io.Writer, cfg config, getenv func(string) string) error {
	if err := cfg.validateUp(); err != nil {
		return err
	}
	work, err := cfg.open(getenv)
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return errors.Join(err, writeReports(migrate.NewReport(failure), out, cfg.report))
	}
	work.LockID = cfg.lockID
	work.AdvisoryLockWait = negativeForZero(cfg.advisoryLockWait)
	work.StatementLockTimeout = cfg.statementLockTimeout
	work.Retries = negativeForZero(cfg.retries)
	work.Log = slog.New(slog.NewJSONHandler(out, nil))
	report, err := migrate.Up(ctx, work)
	return errors.Join(err, writeReports(report, out, cfg.report))
}

// writeReports prints the whole report, and puts a cut one into file if that has a name.
func writeReports(report contract.MigrationReport, out io.Writer, file string) error {
	line, err := migrate.FitReport(report, math.MaxInt)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s\n", line); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if file == "" {
		return nil
	}
	short, err := migrate.FitReport(report, contract.MaxTerminationMessage)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, short, 0o644); err != nil { //nolint:gosec // the report is for whoever may see the container
		return fmt.Errorf("writing the file of --report: %w", err)
	}
	return nil
}
