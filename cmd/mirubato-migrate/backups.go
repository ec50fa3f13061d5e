package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/migrate/backup"
)

func newBackupsCommand(getenv func(string) string) *cobra.Command {
	var (
		at  places
		cfg config
	)
	cmd := &cobra.Command{
		Use:   "backups",
		Short: "List the backups of a directory; changes nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validateStatus(); err != nil {
				return err
			}
			all, err := backup.List(at.location)
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
		at       places
		database string
	)
	cmd := &cobra.Command{
		Use:   "restore NAME --database NEW",
		Short: "Make a new database from a backup, and compare it with what was backed up",
		Long: "Make a new database from a backup, on the server that the connection URL leads to, and compare it with what was backed\n" +
			"up. A database that is there already is never touched. What was written after the backup is not in it.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if database == "" || len(database) > 50 {
				return errors.New("--database must name the new database in 1 to 50 bytes")
			}
			url, err := databaseURL(getenv)
			if err != nil {
				return migrate.NewError(contract.DatabaseUnreachable, err.Error())
			}
			return backup.Restore(cmd.Context(), backup.RestoreConfig{
				DatabaseURL: url, Location: at.location, Name: args[0], Database: database, Log: slog.New(slog.NewJSONHandler(cmd.OutOrStdout(), nil)),
			})
		},
	}
	at.addLocation(cmd.Flags(), getenv)
	cmd.Flags().StringVar(&database, "database", "", "name of the database to make (required)")
	return cmd
}
