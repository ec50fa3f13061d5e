package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestListen(t *testing.T) {
	db, _ := open(t, secret.FromValue(pgserver.Database(t)), 5*time.Second, 2)
	for name, tc := range map[string]struct {
		end  func(cancel func())
		want func(error) bool
	}{
		"until it is told to end": {
			end:  func(cancel func()) { cancel() },
			want: func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"until the connection is lost": {
			end: func(func()) {
				exec(t, db, `select pg_terminate_backend(pid) from pg_stat_activity
					where datname = current_database() and query like 'LISTEN%'`)
			},
			want: func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			woken, ended := make(chan string, 16), make(chan error, 1)
			go func() { ended <- db.Listen(ctx, "news", func(text string) { woken <- text }) }()
			if text := <-woken; text != "" {
				t.Errorf("it listens, and says %q", text)
			}
			exec(t, db, `select pg_notify('news', 'of today')`)
			if text := <-woken; text != "of today" {
				t.Errorf("notified of %q", text)
			}
			tc.end(cancel)
			if err := <-ended; !tc.want(err) {
				t.Error(err)
			}
		})
	}
}
