package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/service/migrate"
)

func newStatusCommand(getenv func(string) string) *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which migrations have been applied; changes nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validateStatus(); err != nil {
				return err
			}
			work, err := cfg.open(getenv)
			if err != nil {
				return err
			}
			status, err := migrate.ReadStatus(cmd.Context(), work)
			if err != nil {
				return err
			}
			return printStatus(cmd.OutOrStdout(), status, cfg.format)
		},
	}
	cfg.addDir(cmd.Flags(), getenv)
	cfg.addStatus(cmd.Flags())
	return cmd
}

func printStatus(out io.Writer, status migrate.Status, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	}
	fmt.Fprintf(out, "schema version %d, files up to %d\n", status.Current, status.Target)
	if status.Owner != "" {
		fmt.Fprintf(out, "the database belongs to %s\n", status.Owner)
	}
	if status.Floor > 0 {
		fmt.Fprintf(out, "lowest files that can run on it: those that end with version %d (%s)\n", status.Floor, status.FloorMigration)
	}
	if !status.Runs {
		fmt.Fprintf(out, "an image with these files cannot run on it: %s\n", status.Reason)
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tNAME\tPHASE\tSTATE\tAPPLIED")
	for _, m := range status.Migrations {
		at := "-"
		if m.AppliedAt != nil {
			at = m.AppliedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", m.Version, dash(m.Name), dash(string(m.Phase)), m.State, at)
	}
	if err := table.Flush(); err != nil || len(status.Backfills) == 0 {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(table, "BACKFILL\tAFTER\tSTATE\tROWS\tOF ABOUT\tREMAINING")
	for _, b := range status.Backfills {
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%s\n", b.Name, b.After, b.State, b.Rows, b.Estimate, b.Remaining)
	}
	return table.Flush()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
