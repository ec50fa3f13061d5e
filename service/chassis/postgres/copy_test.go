package postgres_test

import (
	"context"
	"database/sql"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func each(rows ...[]any) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, row := range rows {
			if !yield(row) {
				return
			}
		}
	}
}

func TestCopy(t *testing.T) {
	db, o := open(t, secret.FromValue(pgserver.Database(t)), 5*time.Second, 1)
	exec(t, db, `create table things (id int primary key, name text, words text[], more jsonb)`)
	read := db.Direct("read", `select id, name, words, more::text from things order by id`)
	type thing struct {
		ID    int
		Name  *string
		Words []string
		More  string
	}
	found := func() (all []thing) {
		err := read.Query(t.Context(), func(rows *sql.Rows) error {
			var one thing
			err := rows.Scan(&one.ID, &one.Name, pq.Array(&one.Words), &one.More)
			all = append(all, one)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	hostile := "tab\t \\N back\\slash \r\n \"quoted\" \\."
	copied := func(rows ...[]any) (n int64, err error) {
		err = db.Atomically(t.Context(), func(ctx context.Context) (err error) {
			n, err = db.Copy(ctx, "things.copy", "things", []string{"id", "name", "words", "more"}, each(rows...))
			return err
		})
		return n, err
	}
	want := []thing{{ID: 1, Name: &hostile, Words: []string{"a,b", "{}", "NULL"}, More: `{"a": "\\"}`}, {ID: 2, Words: []string{}, More: `{}`}}
	n, err := copied([]any{1, &hostile, pq.Array(want[0].Words), `{"a":"\\"}`}, []any{2, (*string)(nil), pq.Array([]string{}), `{}`})
	if err != nil || n != 2 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if diff := cmp.Diff(want, found()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		row  []any
		want fault.Code
	}{
		"a row that is there already":     {[]any{1, nil, nil, nil}, fault.Conflict},
		"a value that no column can hold": {[]any{3, nil, nil, "{"}, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := copied([]any{4, nil, nil, "{}"}, tc.row); fault.CodeOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
			if got := len(found()); got != len(want) { // nor is the connection, of which there is one, unusable
				t.Errorf("%d rows, want %d", got, len(want))
			}
		})
	}
	if _, err := db.Copy(t.Context(), "things.copy", "things", []string{"id"}, each()); fault.CodeOf(err) != fault.Internal {
		t.Errorf("outside of a transaction: %v", err)
	}
	if !cmp.Equal(o.names[1:2], []string{"things.copy"}) {
		t.Errorf("measured %v", o.names)
	}
}

func TestSnapshot(t *testing.T) {
	url := secret.FromValue(pgserver.Database(t))
	db, _ := open(t, url, 5*time.Second, 1)
	writer, _ := open(t, url, 5*time.Second, 1)
	exec(t, db, `create table things (id int primary key)`, `insert into things values (1)`)
	count := db.Prepared("count", `select count(*) from things`)
	write := db.Direct("write", `insert into things values (9)`)
	meanwhile := writer.Direct("write", `insert into things values (2)`)
	var before, after int
	err := db.Snapshot(t.Context(), func(ctx context.Context) error {
		if err := count.QueryRow(ctx, []any{&before}); err != nil {
			return err
		}
		if _, err := meanwhile.Exec(ctx); err != nil {
			return err
		}
		return count.QueryRow(ctx, []any{&after})
	})
	if err != nil || before != 1 || after != 1 {
		t.Errorf("%d, then %d, %v; want 1 both times", before, after, err)
	}
	err = db.Snapshot(t.Context(), func(ctx context.Context) error {
		_, err := write.Exec(ctx)
		return err
	})
	if fault.CodeOf(err) != fault.Unavailable { // as of a database that takes no writes
		t.Errorf("writing: %v", err)
	}
	// Its connection is free again, and one that is not is not waited for forever.
	err = db.Snapshot(t.Context(), func(ctx context.Context) error {
		return db.Snapshot(ctx, func(context.Context) error { return nil })
	})
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("without a free connection: %v", err)
	}
	if err := count.QueryRow(t.Context(), []any{&after}); err != nil || after != 2 {
		t.Errorf("afterwards: %d, %v", after, err)
	}
}

// A statement within is protected by itself, and what failed is not tried again, since the snapshot is gone by then.
func TestSnapshotProtectsEachStatement(t *testing.T) {
	f := &flaky{}
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromValue(pgserver.Database(t)), ApplicationName: "test", StatementTimeout: 5 * time.Second, MaxConns: 1,
		Observer: &observed{}, Reads: f,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	wrong := db.Direct("wrong", `select 1 / 0`)
	err = db.Snapshot(t.Context(), func(ctx context.Context) error {
		return wrong.Query(ctx, func(*sql.Rows) error { return nil })
	})
	if fault.CodeOf(err) != fault.Invalid || f.calls != 2 {
		t.Errorf("%v after %d calls, want one to begin and one that is not repeated", err, f.calls)
	}
}
