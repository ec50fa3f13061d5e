package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

func newTokenCommand(getenv func(string) string) *cobra.Command {
	var id auth.Identity
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "token --user ID --role user|teacher|admin",
		Short: "Print an access token, for development and tests",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), getenv, tokens)
			if err != nil {
				return err
			}
			return printToken(cmd.OutOrStdout(), cfg, id, ttl)
		},
	}
	addFlags(cmd.Flags(), tokens)
	cmd.Flags().StringVar(&id.ID, "user", "", "subject of the token")
	cmd.Flags().StringVar((*string)(&id.Role), "role", string(auth.RoleUser), "user, teacher or admin")
	cmd.Flags().DurationVar(&ttl, "ttl", 15*time.Minute, "how long the token is valid")
	if err := cmd.MarkFlagRequired("user"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func printToken(out io.Writer, cfg Config, id auth.Identity, ttl time.Duration) error {
	keys, err := auth.NewKeys(cfg.JWTSecret, cfg.JWTPrevious, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		return err
	}
	token, err := auth.NewIssuer(keys, cfg.Tokens).Mint(id, ttl)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, token)
	return err
}
