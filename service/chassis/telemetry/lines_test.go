package telemetry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// counted is a writer that counts how often it was written to.
type counted struct {
	mu     sync.Mutex
	writes int
	text   bytes.Buffer
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	return c.text.Write(p)
}

func (c *counted) seen() (writes int, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes, c.text.String()
}

func TestLinesAreWrittenTogetherAndWhole(t *testing.T) {
	to := &counted{}
	lines := telemetry.NewLines(to)
	logger := telemetry.NewLogger(lines, slog.LevelInfo, telemetry.Info{Service: "test"})
	const writers, each = 8, 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range each {
				logger.Info("Telling", "writer", w, "n", n)
			}
		})
	}
	all.Wait()
	if err := lines.Flush(); err != nil {
		t.Fatal(err)
	}
	writes, text := to.seen()
	next := map[int]int{}
	for line := range strings.Lines(text) {
		var told struct{ Writer, N int }
		if err := json.Unmarshal([]byte(line), &told); err != nil || told.N != next[told.Writer] {
			t.Fatalf("%s: %v, want number %d of the writer", line, err, next[told.Writer])
		}
		next[told.Writer]++
	}
	for w := range writers {
		if next[w] != each {
			t.Errorf("writer %d: %d of %d lines", w, next[w], each)
		}
	}
	if writes > writers*each/10 {
		t.Errorf("%d lines took %d writes", writers*each, writes)
	}
}

func TestLinesDoNotWaitForLong(t *testing.T) {
	for name, tell := range map[string]func(*slog.Logger){
		"one that nobody follows": func(l *slog.Logger) { l.Info("Telling") },
		"one after others":        func(l *slog.Logger) { l.Info("Telling"); time.Sleep(20 * time.Millisecond); l.Info("Telling") },
	} {
		to := &counted{}
		tell(telemetry.NewLogger(telemetry.NewLines(to), slog.LevelInfo, telemetry.Info{}))
		want := 1 + strings.Count(name, "others")
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, text := to.seen(); strings.Count(text, "\n") == want {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: it is never written", name)
			}
		}
	}
}

func TestWarningsAreWrittenAtOnce(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelWarn, slog.LevelError} {
		to := &counted{}
		logger := telemetry.NewLogger(telemetry.NewLines(to), slog.LevelInfo, telemetry.Info{}).With("a", 1).WithGroup("g")
		logger.Info("Before")
		logger.Log(t.Context(), level, "Warning")
		if _, text := to.seen(); !strings.Contains(text, "Before") || !strings.Contains(text, "Warning") {
			t.Errorf("%s: %q", level, text)
		}
	}
}

func TestLongLinesAreWhole(t *testing.T) {
	to := &counted{}
	lines := telemetry.NewLines(to)
	var want strings.Builder
	for n := range 20 {
		line := fmt.Sprintf("%d %s\n", n, strings.Repeat("x", n*5000))
		want.WriteString(line)
		if _, err := io.WriteString(lines, line); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, text := to.seen(); text != want.String() {
		t.Error("something else was written")
	}
}

// lineOf is what a logger of NewLogger writes for the record, and what slog's own handler does.
func lineOf(t testing.TB, r slog.Record, with ...any) (got, want string) {
	t.Helper()
	info := telemetry.Info{Service: "test", Version: "1", Environment: "é", Release: "r1"}
	to, plain := &counted{}, &bytes.Buffer{}
	lines := telemetry.NewLines(to)
	for _, logger := range []*slog.Logger{telemetry.NewLogger(lines, slog.LevelInfo, info), telemetry.NewLogger(plain, slog.LevelInfo, info)} {
		if err := logger.With(with...).Handler().Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines.Flush(); err != nil {
		t.Fatal(err)
	}
	_, got = to.seen()
	return got, plain.String()
}

func TestLinesAreThoseOfSlog(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))
	for name, tc := range map[string]struct {
		at      time.Time
		level   slog.Level
		message string
		attrs   []slog.Attr
		with    []any
	}{
		"texts and numbers":  {at: now, message: "Serving request", attrs: []slog.Attr{slog.String("a", "b"), slog.Int("n", -7), slog.Float64("f", 0.25)}},
		"nothing":            {at: now, message: ""},
		"no time":            {message: "Telling"},
		"a time of nobody":   {at: now.AddDate(9000, 0, 0), message: "Telling"},
		"another level":      {at: now, level: slog.LevelError + 1, message: "Telling"},
		"a quote":            {at: now, message: `"`, attrs: []slog.Attr{slog.String("a", `"`)}},
		"a quote in a value": {at: now, message: "Telling", attrs: []slog.Attr{slog.String("a", `"`)}},
		"a name to escape":   {at: now, message: "Telling", attrs: []slog.Attr{slog.Int(`\`, 1)}},
		"no name":            {at: now, message: "Telling", attrs: []slog.Attr{{}, slog.Int("", 1)}},
		"other kinds": {at: now, message: "Telling", attrs: []slog.Attr{
			slog.Bool("b", true), slog.Duration("d", time.Second), slog.Time("t", now), slog.Any("e", io.EOF), slog.Uint64("u", 1),
		}},
		"a group":             {at: now, message: "Telling", attrs: []slog.Attr{slog.Int("n", 1), slog.Group("g", slog.Int("n", 2))}},
		"an attribute of all": {at: now, message: "Telling", attrs: []slog.Attr{slog.Int("n", 1)}, with: []any{"all", "x", "n", 1.5}},
		"a group of all":      {at: now, message: "Telling", attrs: []slog.Attr{slog.Int("n", 1)}, with: []any{slog.Group("g", slog.Int("n", 2))}},
	} {
		r := slog.NewRecord(tc.at, tc.level, tc.message, 0)
		r.AddAttrs(tc.attrs...)
		if got, want := lineOf(t, r, tc.with...); got != want {
			t.Errorf("%s:\n%swant\n%s", name, got, want)
		}
	}
	to, plain := &counted{}, &bytes.Buffer{}
	for _, w := range []io.Writer{telemetry.NewLines(to), plain} {
		logger := telemetry.NewLogger(w, slog.LevelInfo, telemetry.Info{}).WithGroup("g").With("a", "b")
		r := slog.NewRecord(now, slog.LevelWarn, "Telling", 0)
		r.AddAttrs(slog.Int("n", 1))
		if err := logger.Handler().Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, got := to.seen(); got != plain.String() {
		t.Errorf("in a group:\n%swant\n%s", got, plain.String())
	}
}

func FuzzLinesAreThoseOfSlog(f *testing.F) {
	f.Add("Serving request", "path", "/api/scores/7", int64(200), 0.125)
	f.Add("\u2028", "\x7f", "\xff", int64(-1), 1e21)
	f.Add("<&>", "a b", "\n", int64(0), 1e-7)
	f.Fuzz(func(t *testing.T, message, name, text string, n int64, number float64) {
		r := slog.NewRecord(time.Unix(n, n), slog.LevelInfo, message, 0)
		r.AddAttrs(slog.String("text", text), slog.String(name, "text"), slog.Int64("n", n), slog.Float64("number", number))
		if got, want := lineOf(t, r); got != want {
			t.Errorf("%swant\n%s", got, want)
		}
	})
}

// What a line costs whoever serves a request, with a file behind it.
func BenchmarkLine(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	info := telemetry.Info{Service: "bench", Version: "1", Environment: "bench", Release: "r1"}
	lines := telemetry.NewLines(file)
	for name, handler := range map[string]slog.Handler{
		"each by itself":   telemetry.NewLogger(file, slog.LevelInfo, info).Handler(),
		"together":         telemetry.NewLogger(lines, slog.LevelInfo, info).Handler(),
		"together by slog": slog.NewJSONHandler(struct{ io.Writer }{lines}, nil),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					line := slog.NewRecord(time.Now(), slog.LevelInfo, "Serving request", 0)
					line.AddAttrs(slog.String("requestId", "0123456789abcdef"), slog.String("path", "/api/scores/7"), slog.Int("status", 200),
						slog.Float64("durationMs", 0.1))
					if err := handler.Handle(b.Context(), line); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
