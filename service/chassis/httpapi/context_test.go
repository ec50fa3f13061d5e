package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// errGone is why a client is gone.
var errGone = errors.New("gone")

// startRequest returns the context of a request that may take a second, and functions that end it by the client, and by its being served.
func startRequest(t *testing.T) (ctx *requestContext, leave, serve func()) {
	t.Helper()
	client, cancel := context.WithCancelCause(t.Context())
	ctx = &requestContext{client: client, deadline: time.Now().Add(time.Second), record: &Record{}}
	t.Cleanup(ctx.end)
	return ctx, func() { cancel(errGone) }, ctx.end
}

func TestRequestContextEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		happens func(ctx context.Context, leave, serve func())
		err     error
		cause   error
	}{
		"not by itself":     {happens: func(_ context.Context, _, _ func()) { time.Sleep(time.Second - 1) }},
		"at its deadline":   {happens: func(_ context.Context, _, _ func()) { time.Sleep(time.Second) }, err: context.DeadlineExceeded, cause: context.DeadlineExceeded},
		"with the client":   {happens: func(_ context.Context, leave, _ func()) { leave() }, err: context.Canceled, cause: errGone},
		"once it is served": {happens: func(_ context.Context, _, serve func()) { serve() }, err: context.Canceled, cause: context.Canceled},
		"once, whatever comes after": {happens: func(ctx context.Context, leave, _ func()) {
			time.Sleep(time.Second)
			synctest.Wait()
			_ = ctx.Err()
			leave()
		}, err: context.DeadlineExceeded, cause: context.DeadlineExceeded},
		"with the client before its deadline": {happens: func(_ context.Context, leave, _ func()) { leave(); time.Sleep(time.Second) }, err: context.Canceled, cause: errGone},
	} {
		// Those who wait from the start, and those who ask only afterwards, are told the same; whoever asks twice, too.
		for _, waits := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				ctx, leave, serve := startRequest(t)
				if waits {
					if ctx.Done() == nil || ctx.Err() != nil {
						t.Errorf("%s: it has ended before anything happens", name)
					}
				}
				tc.happens(ctx, leave, serve)
				synctest.Wait()
				for range 2 {
					if err := ctx.Err(); !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
						t.Errorf("%s, waits %t: %v, want %v", name, waits, err, tc.err)
					}
				}
				ended := false
				select {
				case <-ctx.Done():
					ended = true
				default:
				}
				if ended != (tc.err != nil) || !errors.Is(context.Cause(ctx), tc.cause) {
					t.Errorf("%s, waits %t: ended %t by %v, want by %v", name, waits, ended, context.Cause(ctx), tc.cause)
				}
			})
		}
	}
}

// Contexts below that of a request end with it, and cost no goroutine each.
func TestContextsBelowEndWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, _, serve := startRequest(t)
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) != time.Second {
			t.Errorf("it ends in %s, want in a second", time.Until(deadline))
		}
		type key struct{}
		goroutines := runtime.NumGoroutine()
		below, cancel := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Minute)
		defer cancel()
		called := make(chan struct{})
		defer context.AfterFunc(below, func() { close(called) })()
		if now := runtime.NumGoroutine(); now != goroutines {
			t.Errorf("%d goroutines, want %d", now, goroutines)
		}
		lasting := context.WithoutCancel(ctx)
		serve()
		<-called
		if below.Err() != context.Canceled || lasting.Err() != nil || RecordOf(lasting) != ctx.record {
			t.Errorf("below %v, lasting %v", below.Err(), lasting.Err())
		}
	})
}

func TestAttach(t *testing.T) {
	type key int
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key(0), "client"), http.MethodGet, "/", nil)
	plain := Attach(r, key(1), "a")
	if plain == r || plain.Context().Value(key(1)) != "a" || r.Context().Value(key(1)) != nil {
		t.Error("outside of Middleware the request itself was changed")
	}
	Middleware(Options{
		Logger: slog.New(slog.DiscardHandler), Observer: &observer{}, RequestTimeout: Fixed(time.Minute), MaxBody: 1,
	}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var looking sync.WaitGroup
		for range 4 {
			looking.Go(func() { _ = r.Context().Value(key(1)) })
		}
		same := Attach(Attach(Attach(r, key(1), "a"), key(2), "b"), key(1), "c")
		looking.Wait()
		if same != r {
			t.Error("the request was copied")
		}
		around := r.WithContext(context.WithValue(r.Context(), key(3), "d"))
		copied := Attach(around, key(2), "e")
		if copied == around || r.Context().Value(key(2)) != "b" {
			t.Error("a value inside is seen outside of a context that lies between")
		}
		ctx := copied.Context()
		for k, want := range map[key]any{0: "client", 1: "c", 2: "e", 3: "d", 4: nil} {
			if got := ctx.Value(k); got != want {
				t.Errorf("%d: %v, want %v", k, got, want)
			}
		}
		if rec, ok := ctx.Value(recordKey{}).(*Record); !ok || rec.RequestID == "" {
			t.Error("the record is gone")
		}
		ctx.Done()
		if ctx.Value(key(0)) != "client" || ctx.Value(key(1)) != "c" {
			t.Error("a value is gone once somebody waits")
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// What a deadline and three values cost a request, by this package and by the standard library.
func BenchmarkRequestContext(b *testing.B) {
	type key int
	client, cancel := context.WithCancel(b.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(client, http.MethodGet, "/", nil)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := &requestContext{client: client, deadline: time.Now().Add(time.Second), record: &Record{}}
			_ = Attach(Attach(r.WithContext(c), key(1), r), key(2), r).Context().Err() //nolint:contextcheck // c is around the client's
			c.end()
		}
	})
	b.Run("standard", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithDeadline(context.WithValue(client, recordKey{}, &Record{}), time.Now().Add(time.Second))
			one := context.WithValue(ctx, key(1), r)
			two := context.WithValue(one, key(2), r)
			_ = r.WithContext(ctx).WithContext(one).WithContext(two).Context().Err()
			cancel()
		}
	})
}
