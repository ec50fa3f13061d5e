package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/service/accounts"
	accountstore "github.com/mirubato/mirubato/service/accounts/store"
	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// operator is who the audit log names for what is done on the command line.
var operator = auth.Identity{ID: "command line", Role: auth.RoleAdmin}

func newUserCommand(getenv func(string) string) *cobra.Command {
	const areas = process | database
	var n accounts.NewUser
	create := &cobra.Command{
		Use:   "create --email ADDRESS --role user|teacher|admin",
		Short: "Make a user whose password is the first line of standard input, and print the user's ID",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), getenv, areas)
			if err != nil {
				return err
			}
			if n.Password, err = readLine(cmd.InOrStdin()); err != nil {
				return fmt.Errorf("reading the password: %w", err)
			}
			return createUser(cmd.Context(), cfg, n, cmd.OutOrStdout())
		},
	}
	addFlags(create.Flags(), areas)
	create.Flags().StringVar(&n.Email, "email", "", "address with which the user logs in")
	create.Flags().StringVar((*string)(&n.Role), "role", string(auth.RoleUser), "user, teacher or admin")
	if err := create.MarkFlagRequired("email"); err != nil {
		panic(err) // the flag is defined above
	}
	parent := &cobra.Command{Use: "user", Short: "Manage who may log in"}
	parent.AddCommand(create)
	return parent
}

func readLine(r io.Reader) (string, error) {
	const enough = 4 << 10
	line, err := bufio.NewReader(io.LimitReader(r, enough)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func createUser(ctx context.Context, cfg Config, n accounts.NewUser, out io.Writer) error {
	db, closeDatabase, err := openForCommand(cfg)
	if err != nil {
		return err
	}
	defer closeDatabase()
	service := accounts.New(accountstore.New(db), nil, audit.New(db, uuid.NewString), uuid.NewString, nil)
	made, err := service.Create(ctx, operator, n)
	if err != nil {
		return inWords(err)
	}
	_, err = fmt.Fprintln(out, made.ID)
	return err
}

// openForCommand returns a database for a command that ends by itself, and a function that closes it.
func openForCommand(cfg Config) (*postgres.DB, func(), error) {
	const patience = 10 * time.Second
	db, err := postgres.Open(postgres.Config{
		URL: cfg.DatabaseURL, ApplicationName: serviceName, StatementTimeout: patience, MaxConns: 1,
		Observer: telemetry.NewMetrics(telemetry.Info{Service: serviceName}),
	})
	if err != nil {
		return nil, nil, err
	}
	return db, func() {
		if err := db.Close(); err != nil {
			slog.Default().Warn("Closing", "error", err.Error())
		}
	}, nil
}

// inWords adds the details of a fault, which its text does not hold.
func inWords(err error) error {
	for _, d := range fault.Of(err).Details {
		err = fmt.Errorf("%w; %s %s", err, d.Field, d.Message)
	}
	return fmt.Errorf("creating the user: %w", err)
}
