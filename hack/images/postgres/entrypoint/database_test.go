package main

import (
	"database/sql"
	"net/url"
	"os"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/hack/images/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

func TestEnsureDatabase(t *testing.T) {
	administrator := pgserver.Database(t)
	wanted := postgres.Database{
		Name:  "library",
		Owner: postgres.Account{Name: "library_owner", Password: "it's secret"},
		App:   postgres.Account{Name: "library_app", Password: `back\slash`},
	}
	other := postgres.Database{
		Name:  "other",
		Owner: postgres.Account{Name: "other_owner", Password: "a"}, App: postgres.Account{Name: "other_app", Password: "b"},
	}
	open := func(database string) (*sql.DB, error) {
		return sql.Open("postgres", connectTo(t, administrator, database, nil))
	}
	for _, database := range []postgres.Database{wanted, other, wanted} { // a second time changes nothing
		if err := ensureDatabase(t.Context(), open, database); err != nil {
			t.Fatal(err)
		}
	}
	owner, app := connect(t, administrator, "library", wanted.Owner), connect(t, administrator, "library", wanted.App)
	const denied = "42501"
	for _, step := range []struct {
		name, statement string
		db              *sql.DB
		code            pqerror.Code
	}{
		{name: "the owner makes a table", db: owner, statement: "CREATE TABLE book (id bigserial PRIMARY KEY, title text)"},
		{name: "the app writes, using a sequence", db: app, statement: "INSERT INTO book (title) VALUES ('Etudes')"},
		{name: "the app changes", db: app, statement: "UPDATE book SET title = 'Preludes'"},
		{name: "the app removes", db: app, statement: "DELETE FROM book"},
		{name: "the app makes no table", db: app, statement: "CREATE TABLE mine (id int)", code: denied},
		{name: "the app changes no table", db: app, statement: "ALTER TABLE book ADD COLUMN more text", code: denied},
		{name: "the app empties no table at once", db: app, statement: "TRUNCATE book", code: denied},
		{name: "the app makes no temporary table", db: app, statement: "CREATE TEMPORARY TABLE mine (id int)", code: denied},
	} {
		_, err := step.db.ExecContext(t.Context(), step.statement)
		if code := pq.As(err); step.code == "" && err != nil || step.code != "" && (code == nil || code.Code != step.code) {
			t.Errorf("%s: %v, want code %q", step.name, err, step.code)
		}
	}
	if err := connect(t, administrator, "library", other.App).PingContext(t.Context()); err == nil {
		t.Error("the app of another database was let in")
	}
}

func TestPasswordsFollowTheList(t *testing.T) {
	administrator := pgserver.Database(t)
	open := func(database string) (*sql.DB, error) {
		return sql.Open("postgres", connectTo(t, administrator, database, nil))
	}
	database := postgres.Database{
		Name: "rotated", Owner: postgres.Account{Name: "rotated_owner", Password: "1"}, App: postgres.Account{Name: "rotated_app", Password: "1"},
	}
	for _, password := range []string{"1", "2"} {
		database.App.Password = password
		if err := ensureDatabase(t.Context(), open, database); err != nil {
			t.Fatal(err)
		}
		if err := connect(t, administrator, "rotated", database.App).PingContext(t.Context()); err != nil {
			t.Errorf("with password %s: %v", password, err)
		}
	}
	database.App.Password = "1"
	if err := connect(t, administrator, "rotated", database.App).PingContext(t.Context()); err == nil {
		t.Error("the old password still works")
	}
}

func connect(t testing.TB, server, database string, account postgres.Account) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", connectTo(t, server, database, url.UserPassword(account.Name, account.Password)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// connectTo changes the database, and the user unless it is nil, of a connection URL.
func connectTo(t testing.TB, server, database string, user *url.Userinfo) string {
	t.Helper()
	location, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	location.Path = "/" + database
	if user != nil {
		location.User = user
	}
	return location.String()
}
