package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/service/migrate"
)

func newUpCommand(getenv func(string) string) *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Apply the migrations of a phase that have not been applied",
		Long: "Apply the expand migrations that have not been applied, and stop before the first contract migration; or, with --phase\n" +
			"contract, apply those, and stop before the next expand migration. The last line of output is the report. Exit codes: 0 done,\n" +
			"1 a migration failed or must not be applied, 2 wrong flags or files, 3 the database or a lock could not be had and the same\n" +
			"call may succeed later.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return up(cmd.Context(), cmd.OutOrStdout(), cfg, getenv)
		},
	}
	cfg.addDir(cmd.Flags(), getenv)
	cfg.addUp(cmd.Flags())
	cfg.addPhase(cmd.Flags())
	cfg.addReport(cmd.Flags())
	return cmd
}

func up(ctx context.Context, out io.Writer, cfg config, getenv func(string) string) error {
	if err := cfg.validateUp(); err != nil {
		return err
	}
	work, err := cfg.openUp(getenv, slog.New(slog.NewJSONHandler(out, nil)))
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return errors.Join(err, writeReport(migrate.NewReport(failure), migrate.FitReport, out, cfg.report))
	}
	report, err := migrate.Up(ctx, work)
	return errors.Join(err, writeReport(report, migrate.FitReport, out, cfg.report))
}
