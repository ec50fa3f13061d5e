package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/hack/images/postgres"
)

// opener connects to a database by name, as an administrator.
type opener func(database string) (*sql.DB, error)

// ensureDatabase makes a database and its users, or brings those that are there into the wanted state: passwords as
// listed, rights as granted here.
func ensureDatabase(ctx context.Context, open opener, wanted postgres.Database) error {
	server, err := open("postgres")
	if err != nil {
		return fmt.Errorf("preparing a connection: %w", err)
	}
	defer server.Close()
	for _, account := range []postgres.Account{wanted.Owner, wanted.App} {
		if err := ensureAccount(ctx, server, account); err != nil {
			return err
		}
	}
	var exists bool
	if err := server.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", wanted.Name).Scan(&exists); err != nil {
		return fmt.Errorf("looking for database %s: %w", wanted.Name, err)
	}
	if !exists {
		// Names cannot be parameters of such a statement, so they are quoted.
		statement := fmt.Sprintf("CREATE DATABASE %s OWNER %s", pq.QuoteIdentifier(wanted.Name), pq.QuoteIdentifier(wanted.Owner.Name))
		if _, err := server.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("making database %s: %w", wanted.Name, err)
		}
	}
	db, err := open(wanted.Name)
	if err != nil {
		return fmt.Errorf("preparing a connection to database %s: %w", wanted.Name, err)
	}
	defer db.Close()
	for _, statement := range grants(wanted) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("granting rights in database %s: %w", wanted.Name, err)
		}
	}
	return nil
}

func ensureAccount(ctx context.Context, server *sql.DB, account postgres.Account) error {
	var exists bool
	if err := server.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", account.Name).Scan(&exists); err != nil {
		return fmt.Errorf("looking for user %s: %w", account.Name, err)
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	statement := fmt.Sprintf("%s ROLE %s LOGIN PASSWORD %s", verb, pq.QuoteIdentifier(account.Name), pq.QuoteLiteral(account.Password))
	if _, err := server.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("setting up user %s: %w", account.Name, err)
	}
	return nil
}

// grants leave changing the schema to the owner. Rights on what is there already are granted too, for tables that were
// restored.
func grants(d postgres.Database) []string {
	database, owner, app := pq.QuoteIdentifier(d.Name), pq.QuoteIdentifier(d.Owner.Name), pq.QuoteIdentifier(d.App.Name)
	const rows, counters = "SELECT, INSERT, UPDATE, DELETE", "USAGE"
	byDefault := "ALTER DEFAULT PRIVILEGES FOR ROLE " + owner + " IN SCHEMA public GRANT "
	return []string{
		"REVOKE ALL ON DATABASE " + database + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + database + " TO " + app,
		"REVOKE CREATE ON SCHEMA public FROM PUBLIC",
		"GRANT CREATE ON SCHEMA public TO " + owner,
		"GRANT USAGE ON SCHEMA public TO " + app,
		"GRANT " + rows + " ON ALL TABLES IN SCHEMA public TO " + app,
		"GRANT " + counters + " ON ALL SEQUENCES IN SCHEMA public TO " + app,
		byDefault + rows + " ON TABLES TO " + app,
		byDefault + counters + " ON SEQUENCES TO " + app,
	}
}

// quote makes text one value of a connection string.
func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
