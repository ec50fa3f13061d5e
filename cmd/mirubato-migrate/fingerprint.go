package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

func newFingerprintCommand(getenv func(string) string) *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "fingerprint",
		Short: "Show a hash of the schema, by which two databases can be compared; changes nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validateStatus(); err != nil {
				return err
			}
			return printFingerprint(cmd.Context(), cmd.OutOrStdout(), cfg.format, getenv)
		},
	}
	cfg.addStatus(cmd.Flags())
	return cmd
}

func printFingerprint(ctx context.Context, out io.Writer, format string, getenv func(string) string) error {
	url, err := databaseURL(getenv)
	if err != nil {
		return unreachable(err)
	}
	access, err := migrate.ParseAccess(url)
	if err != nil {
		return err
	}
	db, err := access.Open()
	if err != nil {
		return access.Failure(ctx, contract.DatabaseUnreachable, "connecting to the database", err)
	}
	defer func() { _ = db.Close() }()
	var report contract.FingerprintReport
	if report.Fingerprint, err = migrate.Fingerprint(ctx, db); err != nil {
		return err
	}
	if report.SchemaVersion, err = migrate.Version(ctx, db); err != nil {
		return err
	}
	if format == "json" {
		return json.NewEncoder(out).Encode(report)
	}
	_, err = fmt.Fprintln(out, report.Fingerprint)
	return err
}
