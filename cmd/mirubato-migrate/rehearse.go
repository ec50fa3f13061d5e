package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/migrate/rehearsal"
)

// rehearse is the flags of the command.
type rehearse struct {
	config
	places
	mode, backup string
}

func newRehearseCommand(getenv func(string) string) *cobra.Command {
	var flags rehearse
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Apply the migrations of a phase that are pending to a copy of the database; changes nothing else",
		Long: "Apply to a copy of the database on a scratch server what up would apply to the database with the same --phase, and report how\n" +
			"long each statement took, what it locked and what it rewrote. The last line of output is the report. Exit codes are those of up\n" +
			"and backup.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.validate(); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			report, err := flags.run(cmd.Context(), out, getenv)
			return errors.Join(err, writeReport(report, rehearsal.FitReport, out, flags.report))
		},
	}
	flags.addDir(cmd.Flags(), getenv)
	flags.addPhase(cmd.Flags())
	flags.addLocation(cmd.Flags(), getenv)
	flags.addScratch(cmd.Flags(), getenv)
	cmd.Flags().StringVar(&flags.mode, "mode", string(contract.RehearsalOnSchema), "Schema: a copy without rows; Data: a backup, restored")
	cmd.Flags().StringVar(&flags.backup, "backup", "", "name of the backup of --location to try on; needed for --mode Data")
	cmd.Flags().StringVar(&flags.report, "report", "", "file that gets the report too, cut to what a termination message holds (default none)")
	return cmd
}

func (f *rehearse) validate() error {
	switch mode := contract.RehearsalMode(f.mode); {
	case mode != contract.RehearsalOnSchema && mode != contract.RehearsalOnData:
		return fmt.Errorf("--mode is %q: it must be Schema or Data", f.mode)
	case mode == contract.RehearsalOnData && f.backup == "":
		return errors.New("--mode Data needs --backup: name the backup to try on")
	case mode == contract.RehearsalOnSchema && f.backup != "":
		return errors.New("--backup has no meaning with --mode Schema: choose --mode Data")
	}
	return f.validatePhase()
}

func (f *rehearse) run(ctx context.Context, out io.Writer, getenv func(string) string) (contract.RehearsalReport, error) {
	mode := contract.RehearsalMode(f.mode)
	work, err := f.open(getenv)
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return rehearsal.NewReport(mode, migrate.Phase(f.phase), failure), err
	}
	return rehearsal.Run(ctx, rehearsal.Config{
		DatabaseURL: work.DatabaseURL, Files: work.Files, Mode: mode, Phase: work.Phase, Location: f.location, Backup: f.backup, Scratch: f.scratch,
		Log: slog.New(slog.NewJSONHandler(out, nil)),
	})
}
