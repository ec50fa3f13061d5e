package musicxml_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/scores/musicxml"
	"github.com/mirubato/mirubato/test/results"
)

// long is a score for piano with so many measures of 12 notes each, as it would be written by a program.
func long(measures int) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><score-partwise version="4.0"><part-list><score-part id="P1"><part-name>Piano</part-name></score-part></part-list><part id="P1">`)
	for m := range measures {
		fmt.Fprintf(&b, `<measure number="%d">`, m+1)
		if m == 0 {
			b.WriteString(strings.Replace(common, "</time>", "</time><staves>2</staves>", 1))
		}
		for i := range 12 {
			staff, beam := 1, "begin"
			if i%2 == 1 {
				beam = "end"
			}
			if i == 8 {
				b.WriteString("\n      <backup>\n        <duration>16</duration>\n        </backup>")
			}
			duration, kind := 2, "eighth"
			if i >= 8 {
				staff, duration, kind = 2, 4, "quarter"
			}
			fmt.Fprintf(&b, "\n      <note default-x=\"%d.50\">\n        <pitch>\n          <step>%c</step>\n          <octave>%d</octave>\n          </pitch>\n        <duration>%d</duration>\n        <voice>%d</voice>\n        <type>%s</type>\n        <stem>up</stem>\n        <staff>%d</staff>",
				10+i*20, "CDEFGAB"[(i+m)%7], 5-staff, duration, staff, kind, staff)
			if i < 8 {
				fmt.Fprintf(&b, "\n        <beam number=\"1\">%s</beam>", beam)
			}
			b.WriteString("\n        </note>")
		}
		b.WriteString("\n      </measure>\n")
	}
	b.WriteString("</part></score-partwise>")
	return b.Bytes()
}

// peak reads what the heap holds at each read.
type peak struct {
	io.ReaderAt
	heap uint64
}

func (p *peak) ReadAt(b []byte, off int64) (int, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.heap = max(p.heap, m.HeapInuse)
	return p.ReaderAt.ReadAt(b, off)
}

// TestMemoryIsBounded measures what an analysis adds to the file itself, which a service does not hold in memory.
func TestMemoryIsBounded(t *testing.T) {
	file := long(10_000)
	debug.FreeOSMemory()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	source := &peak{ReaderAt: bytes.NewReader(file)}
	started := time.Now()
	a, err := musicxml.Analyse(t.Context(), source, int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(started)
	if a.Measures != 10_000 || a.Notes != 120_000 {
		t.Errorf("got %d measures and %d notes", a.Measures, a.Notes)
	}
	grown := float64(source.heap-before.HeapInuse) / (1 << 20)
	t.Logf("%d MB in %v, %.1f MB of memory", len(file)>>20, took, grown)
	results.Record(t, results.Figure{
		Name: "analysis of 10,000 measures: memory", Value: grown, Unit: "MB", Bound: "< 150",
		Command: "go test -count=1 -run TestMemoryIsBounded ./service/scores/musicxml",
	})
	if grown > 150 {
		t.Errorf("the analysis took %.0f MB", grown)
	}
	// Generous: other tests and the race detector may run beside it. The benchmark measures the speed.
	if took > 5*time.Minute {
		t.Errorf("the analysis took %v", took)
	}
}

// Attacks on memory or time end early, whatever they repeat.
func TestHostileFilesEndSoon(t *testing.T) {
	for name, content := range map[string]string{
		"comments within a text": score(common + "<note><voice>" + strings.Repeat("x<!---->", 200_000) + "</voice></note>"),
		"changes of tempo":       score(common + strings.Repeat(`<sound tempo="9"/>`, 110_000)),
		"changes of key":         score(common + strings.Repeat(key(1, "")+key(2, ""), 10_000)),
		"voices":                 score(common + manyVoices(20_000)),
		"repeats":                score(common + strings.Repeat(whole+repeat("forward")+repeat("backward", `times="16"`)+"</measure><measure>", 5_000)),
		"endings":                score(common + strings.Repeat(ending("1", "start")+"</measure><measure>", 50_000)),
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			_, err := musicxml.Analyse(t.Context(), strings.NewReader(content), int64(len(content)))
			if took := time.Since(started); took > 5*time.Minute {
				t.Errorf("it took %v (%v)", took, err)
			}
		})
	}
}

func manyVoices(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `<note><pitch><step>C</step><octave>4</octave></pitch><duration>%d</duration><voice>%d</voice><type>t%d</type></note>`, i, i, i)
	}
	return b.String()
}

func BenchmarkAnalyse10000Measures(b *testing.B) {
	file := long(10_000)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := musicxml.Analyse(b.Context(), bytes.NewReader(file), int64(len(file))); err != nil {
			b.Fatal(err)
		}
	}
}
