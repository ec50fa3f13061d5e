package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/test/results"
)

// smallUploads is how many small files are uploaded and read; 1000 is what the figure is taken with.
var smallUploads = flag.Int("small.uploads", 40, "files that TestSmallUploadsAreDrained uploads")

// scan is a PDF of one page with so many bytes of picture, as a scanner makes one.
func scan(size int) string {
	var b strings.Builder
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	table := "xref\n0 5\n0000000000 65535 f \n"
	for i, object := range []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /MediaBox [0 0 612 792] /Count 1 >>", "<< /Type /Page /Parent 2 0 R >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", size, strings.Repeat("\x80", size)),
	} {
		table += fmt.Sprintf("%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	start := b.Len()
	fmt.Fprintf(&b, "%strailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", table, start)
	return b.String()
}

// memory reads what a process holds (VmRSS) or held at most (VmHWM), in MB.
func memory(t testing.TB, pid int, field string) float64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	t.Fatalf("the status of the process does not tell %s", field)
	return 0
}

// forgetPeak has the kernel count the most that a process held anew (proc_pid_clear_refs(5)).
func forgetPeak(t testing.TB, pid int) {
	t.Helper()
	if err := os.WriteFile("/proc/"+strconv.Itoa(pid)+"/clear_refs", []byte("5"), 0o200); err != nil {
		t.Fatal(err)
	}
}

// A file of 50 MB goes through the service to the storage, and is read by a job of the same process.
func TestLargeUploadTakesNoMemory(t *testing.T) {
	url := scorestest.URL(t)
	db := scorestest.Open(t, url)
	ids := waltzes(t, db, 2)
	process := startProcess(t, "DATABASE_URL="+url, "STORAGE="+filepath.Join(t.TempDir(), "files"), "FILE_MAX_MIB=64")
	var v victim
	v.api.Store(&process.api)
	token := (&library{cfg: testConfig(url)}).token(t, auth.Identity{ID: alice.ID, Role: auth.RoleUser})
	done := func(n int) {
		t.Helper()
		completed := db.Direct("test.done", `select count(*) from score_versions where state = 'completed'`)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			var got int
			if err := completed.QueryRow(t.Context(), []any{&got}); err != nil {
				t.Fatal(err)
			}
			if got == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d files were read", got, n)
			}
		}
	}
	send := func(score, content string) {
		t.Helper()
		if err := v.send(t.Context(), t, token, "/api/scores/"+score+"/versions", upload{name: "a.pdf", content: content}); err != nil {
			t.Fatal(err)
		}
	}
	send(ids[0], scan(1000))
	done(1)
	forgetPeak(t, process.cmd.Process.Pid)
	before := memory(t, process.cmd.Process.Pid, "VmRSS")
	send(ids[1], scan(50e6))
	done(2)
	grown := memory(t, process.cmd.Process.Pid, "VmHWM") - before
	t.Logf("%.1f MB more than the %.1f MB before", grown, before)
	// The detector of races keeps several bytes for each one.
	if !raceEnabled {
		results.Record(t, results.Figure{
			Name: "upload of 50 MB: memory", Value: grown, Unit: "MB", Bound: "< 20", Command: "go test ./cmd/scores -run TestLargeUploadTakesNoMemory",
		})
	}
	if grown > 40 {
		t.Errorf("the process grew by %.1f MB", grown)
	}
}

// Many small files are uploaded at once and read by two workers, each once.
func TestSmallUploadsAreDrained(t *testing.T) {
	url, dir := scorestest.URL(t), filepath.Join(t.TempDir(), "files")
	db := scorestest.Open(t, url)
	ids := waltzes(t, db, *smallUploads)
	process := startProcess(t, "DATABASE_URL="+url, "STORAGE="+dir, "JOB_WORKERS=2")
	var v victim
	v.api.Store(&process.api)
	token := (&library{cfg: testConfig(url)}).token(t, auth.Identity{ID: alice.ID, Role: auth.RoleUser})
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range ids {
			next <- i
		}
	}()
	began := time.Now()
	var sending sync.WaitGroup
	for range 4 {
		sending.Go(func() {
			for i := range next {
				if err := v.send(t.Context(), t, token, "/api/scores/"+ids[i]+"/versions", upload{name: "a.xml", content: waltz(fmt.Sprint(i))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	uploaded := time.Since(began)
	left := db.Direct("test.left", `select count(*) from score_versions where state <> 'completed'`)
	for deadline, n := time.Now().Add(2*time.Minute), 1; n > 0; time.Sleep(20 * time.Millisecond) {
		if err := left.QueryRow(t.Context(), []any{&n}); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files were not read", n)
		}
	}
	took := time.Since(began)
	rate := float64(len(ids)) / took.Seconds()
	t.Logf("%d files uploaded in %v and read after %v, %.0f a second", len(ids), uploaded, took, rate)
	checkNothingLost(t, url, dir, ids)
	if *smallUploads >= 1000 && !raceEnabled {
		results.Record(t, results.Figure{
			Name: "small uploads taken and read by 2 workers", Value: rate, Unit: "files/s", Bound: ">= 50",
			Command: "go test ./cmd/scores -run TestSmallUploadsAreDrained -small.uploads 1000",
		})
	}
}
