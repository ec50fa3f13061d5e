package scores_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/interchange"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/service/scores/store"
	"github.com/mirubato/mirubato/test/results"
)

// measuredLines is how many lines make a figure.
const measuredLines = 100_000

var importLines = flag.Int("import-lines", 2_000, fmt.Sprintf("how many lines to import; with %d the figures are recorded", measuredLines))

// manyLines is a file that is made while it is read.
type manyLines struct {
	count, made int
	rest        []byte
}

func (m *manyLines) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		if m.made == m.count {
			return 0, io.EOF
		}
		m.made++
		m.rest = fmt.Appendf(m.rest, `{"id":"%s","title":"Sonata No. %d in a minor key","composer":"Composer %d","opus":"Op. %d","instrument":"piano",`+
			`"difficultyLevel":%d,"tags":["sonata","number %d"],"metadata":{"shelf":%d},"description":"A work that is long enough to be looked for by its words.","visibility":"public"}`+"\n",
			uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, m.made)), m.made, m.made%500, m.made, m.made%10+1, m.made%100, m.made)
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// heap is how many bytes are in use after what is not has been collected.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// counting is a destination that counts lines, and what the heap grows to meanwhile.
type counting struct {
	lines, pages int
	peak         float64
}

func (c *counting) Begin(int64) error { return nil }

func (c *counting) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' {
			c.lines++
		}
	}
	return len(p), nil
}

func (c *counting) Flush() error {
	if c.pages++; c.pages%50 == 1 {
		c.peak = max(c.peak, heap())
	}
	return nil
}

func TestManyLinesTakeTimeAndNoMemory(t *testing.T) {
	db := scorestest.Open(t, scorestest.URL(t))
	service := interchange.New(store.NewInterchange(db), scores.New(store.New(db), uuid.NewString), uuid.NewString)
	before, started := heap(), time.Now()
	peak, created, batches := before, 0, 0
	err := service.Import(t.Context(), alice, interchange.JSONL, &manyLines{count: *importLines}, func(lines []interchange.Line) {
		for _, line := range lines {
			if line.Outcome == interchange.Created {
				created++
			}
		}
		if batches++; batches%20 == 1 {
			peak = max(peak, heap())
		}
	})
	took := time.Since(started)
	if err != nil || created != *importLines {
		t.Fatalf("%d of %d lines, %v", created, *importLines, err)
	}
	grown := max(peak-before, 0) / (1 << 20)
	started = time.Now()
	out := &counting{}
	if err := service.Export(context.WithoutCancel(t.Context()), alice, interchange.JSONL, out); err != nil || out.lines != created {
		t.Errorf("%d lines came out, %v", out.lines, err)
	}
	exported := time.Since(started)
	t.Logf("%d lines in within %s, the heap grew by %.1f MiB; out within %s, by %.1f MiB", created, took, grown, exported, max(out.peak-before, 0)/(1<<20))
	// IDs are remembered; a hundred thousand of them take some megabytes, and nothing else may grow.
	if grown > 24 || out.peak-before > 24<<20 {
		t.Errorf("the heap grew by %.1f MiB, then by %.1f MiB", grown, (out.peak-before)/(1<<20))
	}
	if *importLines != measuredLines {
		return
	}
	const command = "go test ./service/scores -run TestManyLinesTakeTimeAndNoMemory -import-lines 100000 -v"
	for _, f := range []results.Figure{
		{Name: "import of 100000 scores", Value: took.Seconds(), Unit: "s", Bound: "< 60", Command: command},
		{Name: "import of 100000 scores, growth of the heap", Value: grown, Unit: "MB", Bound: "< 24", Command: command},
		{Name: "export of 100000 scores", Value: exported.Seconds(), Unit: "s", Command: command},
	} {
		results.Record(t, f)
	}
}
