package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/service/chassis/telemetry"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/scores/migrations"
)

func newMigrateCommand(getenv func(string) string) *cobra.Command {
	const areas = process | database
	parent := &cobra.Command{Use: "migrate", Short: "Change the schema of the database, for development"}
	up := &cobra.Command{
		Use:   "up",
		Short: "Apply the migrations of this release that are pending",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), getenv, areas)
			if err != nil {
				return err
			}
			return migrateUp(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	addFlags(up.Flags(), areas)
	parent.AddCommand(up)
	return parent
}

func migrateUp(ctx context.Context, cfg Config, log io.Writer) error {
	url, err := cfg.DatabaseURL.Read()
	if err != nil {
		return err
	}
	logger := telemetry.NewLogger(log, cfg.LogLevel, telemetry.Info{
		Service: serviceName, Version: buildVersion(), Environment: cfg.Environment, Release: cfg.Release,
	})
	_, err = migrate.Up(ctx, migrate.Config{DatabaseURL: url, Files: migrations.Files, Log: logger})
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}
