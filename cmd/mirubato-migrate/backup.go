package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/migrate/backup"
)

// places are where the commands around backups keep things: a directory or a bucket for backups, a directory for copies.
type places struct{ location, scratch string }

func (p *places) addLocation(flags *pflag.FlagSet, getenv func(string) string) {
	flags.StringVar(&p.location, "location", cmp.Or(getenv(contract.EnvBackupDir), contract.BackupDir),
		"directory of the backups, or s3://BUCKET?region=REGION&prefix=PREFIX/ ($"+contract.EnvBackupDir+")")
}

func (p *places) addScratch(flags *pflag.FlagSet, getenv func(string) string) {
	flags.StringVar(&p.scratch, "scratch", cmp.Or(getenv(contract.EnvScratchDir), os.TempDir()),
		"directory with room for a copy of the database, which is removed afterwards ($"+contract.EnvScratchDir+")")
}

func newBackupCommand(getenv func(string) string) *cobra.Command {
	var (
		at      places
		keep    int
		protect []string
		report  string
	)
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Dump the database, restore the dump beside it, compare, and keep it if it is equal",
		Long: "Dump the database, restore the dump into a scratch server, compare all rows and the schema within the snapshot\n" +
			"that was dumped, and keep the dump if they are equal. The last line of output is the report. Exit codes: 0 a verified\n" +
			"backup was kept, 1 it was refused or is not equal, 2 wrong flags or tools, 3 the same call may succeed later.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep < 1 || keep > 1000 {
				return fmt.Errorf("--keep is %d: it must be between 1 and 1000", keep)
			}
			out := cmd.OutOrStdout()
			done, err := runBackup(cmd.Context(), out, at, keep, protect, getenv)
			return errors.Join(err, writeReport(done, backup.FitReport, out, report))
		},
	}
	at.addLocation(cmd.Flags(), getenv)
	at.addScratch(cmd.Flags(), getenv)
	cmd.Flags().IntVar(&keep, "keep", backup.DefaultKeep, "how many verified backups stay, the new one included; older ones are removed")
	cmd.Flags().StringSliceVar(&protect, "protect", nil, "names of backups that stay besides (default none)")
	cmd.Flags().StringVar(&report, "report", "", "file that gets the report too, without its tables (default none)")
	return cmd
}

func runBackup(ctx context.Context, out io.Writer, at places, keep int, protect []string, getenv func(string) string) (contract.BackupReport, error) {
	url, err := databaseURL(getenv)
	if err != nil {
		failure := migrate.NewError(contract.DatabaseUnreachable, err.Error())
		return backup.NewReport(failure), failure
	}
	return backup.Run(ctx, backup.Config{
		DatabaseURL: url, Location: at.location, Scratch: at.scratch, Keep: keep, Protected: protect, Log: slog.New(slog.NewJSONHandler(out, nil)),
	})
}
