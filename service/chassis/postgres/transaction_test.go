package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestAtomically(t *testing.T) {
	// One connection: a statement that left the transaction would wait for it forever.
	db, _ := open(t, secret.FromValue(pgserver.Database(t)), 5*time.Second, 1)
	exec(t, db, `create table things (id int primary key)`)
	add := db.Prepared("add", `insert into things values ($1)`)
	count := db.Prepared("count", `select count(*) from things`)
	seen := func(ctx context.Context) int {
		var n int
		if err := count.QueryRow(ctx, []any{&n}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	failure := errors.New("no")
	for _, tc := range []struct {
		name  string
		fails error
		want  int
	}{{"a failure", failure, 0}, {"no failure", nil, 2}} {
		told := -1
		err := db.Atomically(t.Context(), func(ctx context.Context) error {
			for id := range 2 {
				if _, err := add.Exec(ctx, id); err != nil {
					return err
				}
			}
			if n := seen(ctx); n != 2 {
				t.Errorf("%s: the transaction sees %d of its own rows, want 2", tc.name, n)
			}
			postgres.Afterwards(ctx, func() { told = seen(t.Context()) }) //nolint:contextcheck // the transaction has ended by then
			return db.Atomically(ctx, func(context.Context) error { return tc.fails })
		})
		if !errors.Is(err, tc.fails) || seen(t.Context()) != tc.want {
			t.Errorf("%s: %v, %d rows left, want %d", tc.name, err, seen(t.Context()), tc.want)
		}
		if told != tc.want {
			t.Errorf("%s: %d rows when the news were told, want %d", tc.name, told, tc.want)
		}
	}
	told := false
	postgres.Afterwards(t.Context(), func() { told = true })
	if !told {
		t.Error("without a transaction the news wait")
	}
}

func TestTransactionDoesNotHoldStatementsOfAnotherPool(t *testing.T) {
	url := secret.FromValue(pgserver.Database(t))
	db, _ := open(t, url, 5*time.Second, 1)
	other, _ := open(t, url, 5*time.Second, 1)
	exec(t, db, `create table things (id int primary key)`)
	failure := errors.New("no")
	err := db.Atomically(t.Context(), func(ctx context.Context) error {
		if _, err := other.Prepared("add", `insert into things values (1)`).Exec(ctx); err != nil {
			return err
		}
		return failure
	})
	var n int
	if countErr := db.Prepared("count", `select count(*) from things`).QueryRow(t.Context(), []any{&n}); countErr != nil || n != 1 || !errors.Is(err, failure) {
		t.Errorf("%v, %v, %d rows; want the other pool's row to stay", err, countErr, n)
	}
}
