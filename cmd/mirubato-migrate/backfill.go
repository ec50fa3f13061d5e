package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

func newBackfillCommand(getenv func(string) string) *cobra.Command {
	var (
		cfg           config
		pause, resume string
	)
	cmd := &cobra.Command{
		Use:   "backfill",
		Short: "Run the backfills that are declared beside the migrations, batch by batch",
		Long: "Run the backfills that are declared beside the migrations and are not done, batch by batch, and go on where an earlier run\n" +
			"has ended. The last line of output is the report. Exit codes: 0 all are done, 1 one cannot go on, 2 wrong flags or files,\n" +
			"3 one is paused, or the database or a lock could not be had, and the same call may succeed later.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validateUp(); err != nil {
				return err
			}
			do := migrate.Backfill
			if name := pause + resume; name != "" {
				do = func(ctx context.Context, work migrate.Config) (contract.BackfillReport, error) {
					return migrate.PauseBackfill(ctx, work, name, pause != "")
				}
			}
			out := cmd.OutOrStdout()
			report, err := backfill(cmd.Context(), out, cfg, getenv, do)
			return errors.Join(err, writeReport(report, migrate.FitBackfillReport, out, cfg.report))
		},
	}
	cfg.addDir(cmd.Flags(), getenv)
	cfg.addUp(cmd.Flags())
	cfg.addReport(cmd.Flags())
	cmd.Flags().StringVar(&pause, "pause", "", "name of a backfill that shall not go on after the batch at work; nothing is run")
	cmd.Flags().StringVar(&resume, "resume", "", "name of a backfill that was paused and may go on; nothing is run")
	cmd.MarkFlagsMutuallyExclusive("pause", "resume")
	return cmd
}

type backfillCall = func(context.Context, migrate.Config) (contract.BackfillReport, error)

func backfill(ctx context.Context, out io.Writer, cfg config, getenv func(string) string, do backfillCall) (contract.BackfillReport, error) {
	work, err := cfg.openUp(getenv, slog.New(slog.NewJSONHandler(out, nil)))
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return migrate.NewBackfillReport(failure), err
	}
	return do(ctx, work)
}
