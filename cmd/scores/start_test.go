package main

import (
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
		time.Sleep(200 * time.Millisecond) // the process has nothing to do any more
		resident = memory(b, p.cmd.Process.Pid, "VmRSS")
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
