package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/test/results"
)

// BenchmarkStart measures how long the process takes until it is ready, and how much memory it then holds.
func BenchmarkStart(b *testing.B) {
	url := scorestest.URL(b)
	var resident float64
	for b.Loop() {
		p := startProcess(b, "DATABASE_URL="+url)
		for {
			if got, _, err := status(b.Context(), p.ops+"/readyz"); err == nil && got == 200 {
				break
			}
		}
		b.StopTimer()
		resident = residentMegabytes(b, p.cmd.Process.Pid)
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		b.StartTimer()
	}
	ready := float64(b.Elapsed().Microseconds()) / float64(b.N) / float64(time.Millisecond/time.Microsecond)
	for _, figure := range []results.Figure{
		{Name: "service start to ready", Value: ready, Unit: "ms", Bound: "< 300", Command: "make bench"},
		{Name: "service process, idle", Value: resident, Unit: "MB", Bound: "< 40", Command: "make bench"},
	} {
		results.Record(b, figure)
	}
}

// residentMegabytes reads the memory that a process holds after it has been idle for a moment.
func residentMegabytes(b *testing.B, pid int) float64 {
	b.Helper()
	time.Sleep(200 * time.Millisecond)
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	b.Fatal("the status of the process does not tell its memory")
	return 0
}
