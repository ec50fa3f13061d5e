package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate/backup"
)

func newBackupsCommand(getenv func(string) string) *cobra.Command {
	var (
		at  places
		cfg config
	)
	cmd := &cobra.Command{
		Use:   "backups",
		Short: "List the backups of a directory or a bucket; changes nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validateStatus(); err != nil {
				return err
			}
			all, err := backup.List(cmd.Context(), at.location)
			if err != nil {
				return err
			}
			return printBackups(cmd.OutOrStdout(), all, cfg.format)
		},
	}
	at.addLocation(cmd.Flags(), getenv)
	cfg.addStatus(cmd.Flags())
	return cmd
}

// printBackups writes JSON as an array, also of none.
func printBackups(out io.Writer, all []contract.BackupReport, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(append([]contract.BackupReport{}, all...))
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tDATABASE\tSCHEMA\tTABLES\tROWS\tBYTES\tTAKEN\tVERIFIED")
	for _, b := range all {
		if b.Error != nil && !b.Verified {
			fmt.Fprintf(table, "%s\t-\t-\t-\t-\t-\t-\t%s\n", b.Name, b.Error.Message)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%s\tyes\n",
			b.Name, b.Database, b.SchemaVersion, b.TableCount, b.Rows, b.Size, b.Started.Format(time.RFC3339))
	}
	return table.Flush()
}

func newRestoreCommand(getenv func(string) string) *cobra.Command {
	var (
		at               places
		database, report string
	)
	cmd := &cobra.Command{
		Use:   "restore NAME --database NEW",
		Short: "Make a new database from a backup, and compare it with what was backed up",
		Long: "Make a new database from a backup, on the server that the connection URL leads to, and compare it with what was backed\n" +
			"up. A database that is there already is never touched. What was written after the backup is not in it. The last line of\n" +
			"output is the report. Exit codes: 0 the database is there and equal, 1 it was refused or is not equal, 2 wrong flags or a\n" +
			"database that is there already, 3 the same call may succeed later.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if database == "" || len(database) > backup.MaxDatabaseName {
				return fmt.Errorf("--database must name the new database in 1 to %d bytes", backup.MaxDatabaseName)
			}
			out := cmd.OutOrStdout()
			done, err := runRestore(cmd.Context(), out, at.location, args[0], database, getenv)
			return errors.Join(err, writeReport(done, backup.FitRestoreReport, out, report))
		},
	}
	at.addLocation(cmd.Flags(), getenv)
	cmd.Flags().StringVar(&database, "database", "", "name of the database to make (required)")
	cmd.Flags().StringVar(&report, "report", "", "file that gets the report too (default none)")
	return cmd
}

func runRestore(ctx context.Context, out io.Writer, location, name, database string, getenv func(string) string) (contract.RestoreReport, error) {
	url, err := databaseURL(getenv)
	if err != nil {
		failure := unreachable(err)
		return backup.NewRestoreReport(name, database, failure), failure
	}
	return backup.Restore(ctx, backup.RestoreConfig{
		DatabaseURL: url, Location: location, Name: name, Database: database, Log: slog.New(slog.NewJSONHandler(out, nil)),
	})
}
