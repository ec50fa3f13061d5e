package release

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the stories in testdata anew")

func rolling() Rollout {
	return Rollout{Strategy: v1alpha1.StrategyRolling, StepTimeout: 10 * time.Minute}
}

func careful() Rollout {
	return Rollout{
		Strategy: v1alpha1.StrategyCanary, Steps: []Step{{Weight: 20, Hold: time.Minute}, {Weight: 50, Hold: time.Minute}},
		SmokeTests: true, Analysis: true, NotEnoughData: v1alpha1.AnalysisWait, SourceDown: v1alpha1.AnalysisWait,
		Soak: 5 * time.Minute, StepTimeout: 10 * time.Minute,
	}
}

func blueGreen() Rollout {
	r := careful()
	r.Strategy, r.Steps = v1alpha1.StrategyBlueGreen, []Step{{Weight: 100, Hold: time.Minute}}
	return r
}

func guarded() Rollout {
	r := careful()
	r.Backup, r.Rehearsal, r.Analysis, r.Steps = true, true, false, r.Steps[:1]
	return r
}

// TestStories plays typical rollouts and compares what is told of them with testdata. Each begins where release scores-1 is
// verified everywhere. Write them anew with: go test ./controllers/release -run Stories -update
func TestStories(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		rollouts []Rollout
		play     func(*world)
	}{
		"a good canary passes two environments": {[]Rollout{careful(), careful()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(time.Time{})
		}},
		"a canary with errors goes back at 20 percent": {[]Rollout{rolling(), careful()}, func(w *world) {
			w.release(2, badErrors, 0)
			w.rest(time.Time{})
		}},
		"rolling replaces pods": {[]Rollout{rolling(), rolling()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(time.Time{})
		}},
		"rolling goes back when pods do not start": {[]Rollout{rolling(), rolling()}, func(w *world) {
			w.release(2, badPods, 1)
			w.rest(time.Time{})
		}},
		"production backs up and rehearses first": {[]Rollout{rolling(), guarded()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(time.Time{})
		}},
		"what only earlier releases needed is removed": {[]Rollout{guarded()}, func(w *world) {
			w.contracts, w.places[0].rollout.ContractAfter = true, time.Hour
			w.release(2, good, 0)
			w.rest(time.Time{})
			w.note("", "somebody wants to go back")
			w.release(1, good, 0)
			w.rest(time.Time{})
		}},
		"a removal fails its rehearsal and is retried": {[]Rollout{guarded()}, func(w *world) {
			w.contracts, w.places[0].rollout.ContractAfter = true, time.Hour
			w.release(2, badContract, 0)
			w.rest(time.Time{})
			w.now = w.now.Add(time.Hour)
			w.note("", "somebody mends the data in the database")
			w.target.fault = good
			w.retry()
			w.rest(time.Time{})
		}},
		"a rehearsal keeps the database from harm": {[]Rollout{rolling(), guarded()}, func(w *world) {
			w.release(2, badMigration, 1)
			w.rest(time.Time{})
		}},
		"blue and green swap": {[]Rollout{blueGreen()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(time.Time{})
		}},
		"a newer release takes over from a canary": {[]Rollout{careful()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(noon.Add(30 * time.Second))
			w.release(4, good, 0)
			w.rest(time.Time{})
		}},
		"somebody aborts": {[]Rollout{careful()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(noon.Add(90 * time.Second))
			w.note("", "somebody aborts")
			w.places[0].abort = true
			w.pass(100)
			w.rest(time.Time{})
		}},
		"a refused migration is retried": {[]Rollout{careful()}, func(w *world) {
			w.release(2, badMigration, 0)
			w.rest(time.Time{})
			w.now = w.now.Add(time.Hour)
			w.note("", "somebody mends the data in the database")
			w.target.fault = good
			w.retry()
			w.rest(time.Time{})
		}},
		"too few requests and then enough": {[]Rollout{careful()}, func(w *world) {
			w.release(2, good, 0)
			w.places[0].verdict = v1alpha1.VerdictNotEnoughData
			w.rest(noon.Add(3 * time.Minute))
			w.note("", "the day begins and requests come in")
			w.places[0].verdict = ""
			w.rest(time.Time{})
		}},
		"too few requests until the time is over": {[]Rollout{careful()}, func(w *world) {
			w.release(2, good, 0)
			w.places[0].verdict = v1alpha1.VerdictNotEnoughData
			w.rest(time.Time{})
		}},
		"the operator is away during a hold": {[]Rollout{careful()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(noon.Add(30 * time.Second))
			w.now = w.now.Add(2 * time.Hour)
			w.note("", "the operator was away for two hours")
			w.rest(time.Time{})
		}},
		"a step waits for a person": {[]Rollout{careful()}, func(w *world) {
			w.places[0].rollout.Steps[1].Pause = true
			w.release(2, good, 0)
			w.rest(noon.Add(time.Hour))
			w.note("", "somebody resumes")
			w.places[0].resume = true
			w.pass(100)
			w.rest(time.Time{})
		}},
		"an environment is held at an earlier release": {[]Rollout{rolling(), rolling()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(time.Time{})
			w.note("", "somebody holds staging at scores-1")
			w.places[1].held = w.build("scores-1")
			w.pass(100)
			w.rest(time.Time{})
			w.release(4, good, 0)
			w.rest(time.Time{})
			w.note("", "somebody resumes staging")
			w.places[1].held = nil
			w.pass(100)
			w.rest(time.Time{})
		}},
		"the Microservice returns to an earlier release": {[]Rollout{careful()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(time.Time{})
			w.release(1, good, 0)
			w.rest(time.Time{})
		}},
		"its cluster is away during a canary": {[]Rollout{careful(), careful()}, func(w *world) {
			w.release(2, good, 0)
			w.rest(noon.Add(30 * time.Second))
			w.note("", "the cluster of development does not answer any more")
			w.places[0].away = &v1alpha1.WaitingFor{Type: v1alpha1.WaitCluster, Message: "the cluster of Secret west is away: its API server refuses connections"}
			w.pass(100)
			w.rest(noon.Add(time.Hour))
			w.note("", "it is back")
			w.places[0].away = nil
			w.pass(100)
			w.rest(time.Time{})
		}},
		"a first release does not start": {[]Rollout{careful()}, func(w *world) {
			w.places[0].stable, w.places[0].verified = Fleet{}, nil
			w.release(2, badPods, 0)
			w.rest(time.Time{})
			w.note("", "a corrected one is asked for")
			w.release(4, good, 0)
			w.rest(time.Time{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(story.rollouts...)
			w.release(1, good, 0)
			w.rest(time.Time{})
			w.now, w.telling = noon, true
			for _, p := range w.places {
				p.told = ""
			}
			story.play(w)
			compare(t, name, strings.Join(w.story, "\n")+"\n")
		})
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the story has changed (-want +got):\n%s", diff)
	}
}
