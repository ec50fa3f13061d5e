package main

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/service/migrate"
)

func newHandOverCommand(getenv func(string) string) *cobra.Command {
	var (
		cfg config
		to  string
	)
	cmd := &cobra.Command{
		Use:   "hand-over --lock-id OWNER --to NEW",
		Short: "Give a database that belongs to one Microservice to another",
		Long: "Give a database that belongs to one Microservice, which --lock-id names as namespace/name, to another. With --to " + migrate.DefaultLockID + "\n" +
			"it belongs to nobody, and to whoever comes next. The files must be those that were applied, or a continuation of them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.TrimSpace(to) == "" {
				return errors.New("--to must name the new owner as namespace/name, or " + migrate.DefaultLockID + " for nobody")
			}
			if err := cfg.validateUp(); err != nil {
				return err
			}
			url, err := databaseURL(getenv)
			if err != nil {
				return unreachable(err)
			}
			return migrate.HandOver(cmd.Context(), migrate.Config{
				DatabaseURL: url, LockID: cfg.lockID, AdvisoryLockWait: negativeForZero(cfg.advisoryLockWait),
				StatementLockTimeout: cfg.statementLockTimeout, Log: slog.New(slog.NewJSONHandler(cmd.OutOrStdout(), nil)),
			}, to)
		},
	}
	cfg.addUp(cmd.Flags())
	cmd.Flags().StringVar(&to, "to", "", "the new owner (required)")
	return cmd
}
