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

// What a line costs whoever serves a request, with a file behind it.
func BenchmarkLine(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for name, to := range map[string]io.Writer{"each by itself": file, "together": telemetry.NewLines(file)} {
		b.Run(name, func(b *testing.B) {
			logger := telemetry.NewLogger(to, slog.LevelInfo, telemetry.Info{Service: "bench", Version: "1", Environment: "bench", Release: "r1"})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					logger.LogAttrs(b.Context(), slog.LevelInfo, "Serving request", slog.String("requestId", "0123456789abcdef"),
						slog.String("path", "/api/scores/7"), slog.Int("status", 200), slog.Float64("durationMs", 0.1))
				}
			})
		})
	}
}
