package postgres_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestAvailableConnections(t *testing.T) {
	address := pgserver.Database(t)
	db, _ := open(t, secret.FromValue(address), 5*time.Second, 2)
	available := func() int64 {
		t.Helper()
		n, err := db.Available(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	var most int64
	if err := db.Direct("max", `select current_setting('max_connections')::int`).QueryRow(t.Context(), []any{&most}); err != nil {
		t.Fatal(err)
	}
	// Other tests have connections to other databases of the same server.
	if got := available(); got >= most || got < most/4 {
		t.Errorf("%d are available of %d", got, most)
	}
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, `alter database "`+parsed.Path[1:]+`" connection limit 7`)
	if got := available(); got != 7 {
		t.Errorf("%d are available, the database is allowed 7", got)
	}
}
