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

func newCheckCommand(getenv func(string) string) *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what up would do, and what speaks against it; changes nothing",
		Long: "Say which files up would apply, and look for what stands against it: files and history that do not fit, a server or a role that\n" +
			"cannot take them, other sessions that are in the way. The last line of output is the report. Exit codes: 0 nothing stands\n" +
			"against it, 1 it must not be applied, 2 wrong flags or files, 3 the same check may pass later.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validateUp(); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			report, err := check(cmd.Context(), out, cfg, getenv)
			return errors.Join(err, writeReport(report, migrate.FitCheckReport, out, cfg.report))
		},
	}
	cfg.addDir(cmd.Flags(), getenv)
	cfg.addUp(cmd.Flags())
	cfg.addPhase(cmd.Flags())
	cfg.addReport(cmd.Flags())
	return cmd
}

func check(ctx context.Context, out io.Writer, cfg config, getenv func(string) string) (contract.CheckReport, error) {
	work, err := cfg.openUp(getenv, slog.New(slog.NewJSONHandler(out, nil)))
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return migrate.NewCheckReport(migrate.Phase(cfg.phase), failure), err
	}
	return migrate.Check(ctx, work)
}
