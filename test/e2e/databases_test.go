//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
)

// databases makes and drops databases on the PostgreSQL server of the local cluster, as its administrator.
type databases struct{ tools tools }

// connections are the URLs of one database.
type connections struct{ app, owner string }

// openDatabases starts the server if it is not there.
func openDatabases(ctx context.Context, t tools) (databases, error) {
	_, err := t.run(ctx, "localcluster", "databases")
	return databases{tools: t}, err
}

// create makes a database with a role that changes the schema and one that reads and writes rows.
func (d databases) create(ctx context.Context, name string) (connections, error) {
	password := strings.ToLower(rand.Text())
	owner, app := name+"_owner", name+"_app"
	err := d.execute(ctx, "postgres",
		fmt.Sprintf("CREATE ROLE %s LOGIN CREATEDB PASSWORD '%s'", owner, password), // a restore makes one
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", app, password),
		fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, owner))
	if err != nil {
		return connections{}, err
	}
	err = d.execute(ctx, name,
		"GRANT ALL ON SCHEMA public TO "+owner,
		"GRANT USAGE ON SCHEMA public TO "+app,
		fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %s", owner, app),
		fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA public GRANT USAGE ON SEQUENCES TO %s", owner, app))
	const url = "postgres://%s:%s@postgres.databases.svc:5432/%s?sslmode=disable"
	return connections{app: fmt.Sprintf(url, app, password, name), owner: fmt.Sprintf(url, owner, password, name)}, err
}

// drop removes a database, one that was restored beside it, and its roles, connected or not.
func (d databases) drop(ctx context.Context, name string) error {
	return d.execute(ctx, "postgres",
		fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name),
		fmt.Sprintf("DROP DATABASE IF EXISTS %s_restored WITH (FORCE)", name),
		fmt.Sprintf("DROP ROLE IF EXISTS %s_owner", name),
		fmt.Sprintf("DROP ROLE IF EXISTS %s_app", name))
}

func (d databases) execute(ctx context.Context, database string, statements ...string) error {
	args := []string{"--namespace", "databases", "exec", "postgres-0", "--", "psql", "--host", "/tmp", "--dbname", database, "--quiet", "--set", "ON_ERROR_STOP=1"}
	for _, statement := range statements {
		args = append(args, "--command", statement)
	}
	_, err := d.tools.run(ctx, "kubectl", args...)
	return err
}
