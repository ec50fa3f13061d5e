package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/service/scores/store"
	"github.com/mirubato/mirubato/test/results"
)

// killedFiles is how many files are uploaded and read while processes are killed; 200 is what the figure is taken with.
var killedFiles = flag.Int("kill.files", 24, "files that TestKilledProcessesLoseNoFile uploads")

// victim is the process that is alive at the moment.
type victim struct{ api atomic.Pointer[string] }

// send uploads a file as often as it takes: what breaks off is sent again, as a client does.
func (v *victim) send(ctx context.Context, t testing.TB, token, path string, u upload) error {
	t.Helper()
	body, contentType := u.form(t)
	for ctx.Err() == nil {
		if status := v.try(ctx, token, path, body, contentType); status == http.StatusAccepted || status == http.StatusOK {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}

func (v *victim) try(ctx context.Context, token, path, body, contentType string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, *v.api.Load()+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

// Processes are killed at random moments while they take and read files. Every file must be read exactly once in effect, which the
// version of its score counts, and the storage must hold each content and nothing else.
func TestKilledProcessesLoseNoFile(t *testing.T) {
	url, dir := scorestest.URL(t), filepath.Join(t.TempDir(), "files")
	db := scorestest.Open(t, url)
	ids := make([]string, *killedFiles)
	for i := range ids {
		ids[i] = uuid.NewString()
		s := scores.Score{ID: ids[i], OwnerID: alice.ID, Fields: scores.Fields{
			Title: "Waltz", Status: scores.Active, Visibility: scores.Private, Tags: []string{}, Metadata: []byte("{}"),
		}}
		if _, err := store.New(db).Insert(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	start := func() *running {
		return startProcess(t, "DATABASE_URL="+url, "STORAGE="+dir, "JOB_PATIENCE=1s")
	}
	process := start()
	var v victim
	v.api.Store(&process.api)
	token := (&library{cfg: testConfig(url)}).token(t, auth.Identity{ID: alice.ID, Role: auth.RoleUser})

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var sending sync.WaitGroup
	next := make(chan int)
	for range 3 {
		sending.Go(func() {
			for i := range next {
				u := upload{name: "a.xml", content: waltz(fmt.Sprint(i))}
				if err := v.send(ctx, t, token, "/api/scores/"+ids[i]+"/versions", u); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() {
		defer close(next)
		for i := range ids {
			next <- i
			time.Sleep(rand.N(60 * time.Millisecond))
		}
	}()
	kills, done := 0, db.Direct("test.done", `select count(*) from score_versions where state = 'completed'`)
	completed := func() (n int) {
		if err := done.QueryRow(ctx, []any{&n}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for read := 0; read < len(ids)*3/4; {
		time.Sleep(rand.N(1200 * time.Millisecond))
		// A job whose process dies under it four times is dead. Where nothing gets done within a second, each job would be.
		for before := read; read == before; time.Sleep(5 * time.Millisecond) {
			if read = completed(); ctx.Err() != nil {
				t.Fatalf("%d of %d files were read after %d kills", read, len(ids), kills)
			}
		}
		_ = process.cmd.Process.Kill()
		_ = process.cmd.Wait()
		kills++
		process = start()
		v.api.Store(&process.api)
	}
	sending.Wait()
	for deadline := time.Now().Add(2 * time.Minute); completed() < len(ids); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d files were read after %d kills", completed(), len(ids), kills)
		}
	}
	checkNothingLost(t, url, dir, ids)
	t.Logf("%d files, %d kills", len(ids), kills)
	if kills == 0 {
		t.Error("nothing was killed, so nothing was proved")
	}
	if *killedFiles >= 200 {
		results.Record(t, results.Figure{
			Name: "kills survived by 200 uploads", Value: float64(kills), Unit: "kills", Bound: "> 0",
			Command: "go test ./cmd/scores -run TestKilledProcessesLoseNoFile -kill.files 200",
		})
	}
}

func checkNothingLost(t *testing.T, url, dir string, ids []string) {
	t.Helper()
	db := scorestest.Open(t, url)
	var scoresWrong, versionsWrong int
	wrong := db.Direct("test.wrong", `select
		(select count(*) from scores where version <> 2 or analysis is null),
		(select count(*) from (select score_id from score_versions group by score_id having count(*) <> 1) v)`)
	if err := wrong.QueryRow(t.Context(), []any{&scoresWrong, &versionsWrong}); err != nil {
		t.Fatal(err)
	}
	if scoresWrong != 0 || versionsWrong != 0 {
		t.Errorf("%d scores were not described exactly once, %d do not have one file", scoresWrong, versionsWrong)
	}
	sweepNow(t, url, dir)
	if n := filesIn(t, dir); n != len(ids) {
		t.Errorf("%d files are stored of %d", n, len(ids))
	}
}

// once makes each call once.
type once struct{}

func (once) Do(ctx context.Context, _ bool, call func(context.Context) error) error { return call(ctx) }
