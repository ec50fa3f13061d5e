package release

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// The simulation plays random histories and checks, at every plan, what must hold whatever happens. Every history follows from
// its seed: MIRUBATO_SIM_SEED=n go test -v -run RandomHistories ./controllers/release tells the story of one. With the race
// detector few histories are played, and `make test` plays all of them without it as well; -histories 100000 plays all.
const (
	eventsEach = 18
	shards     = 4
)

var histories = flag.Uint64("histories", defaultHistories, "how many random histories to simulate")

// broken is what a history has shown to be wrong.
type broken string

// history is a world with people, faults and an operator that is killed now and then.
type history struct {
	*world
	random  *rand.Rand
	resting bool
	// lastLook are the plans of the last pass, by environment.
	lastLook map[int]Plan
	// proved are the stations at which a release was verified, or that a person has let it pass.
	proved map[station]bool
}

// station is a release in an environment.
type station struct {
	environment int
	release     string
}

func TestRandomHistories(t *testing.T) {
	t.Parallel()
	if text := os.Getenv("MIRUBATO_SIM_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("MIRUBATO_SIM_SEED must be the number of a history: %v", err)
		}
		h, wrong := live(seed, true, New)
		t.Logf("history %d:\n%s", seed, strings.Join(h.story, "\n"))
		if wrong != "" {
			t.Fatalf("seed %d: %s", seed, wrong)
		}
		return
	}
	// The heap is tiny: collected at the usual pace, it would be most of the work.
	defer debug.SetGCPercent(debug.SetGCPercent(1000))
	var lock sync.Mutex
	ends := map[string]int{}
	t.Run("histories", func(t *testing.T) {
		for shard := range uint64(shards) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				mine := map[string]int{}
				for seed := shard; seed < *histories; seed += shards {
					h, wrong := live(seed, false, New)
					if wrong != "" {
						again, _ := live(seed, true, New)
						t.Fatalf("%s; again by: MIRUBATO_SIM_SEED=%d go test -v -run RandomHistories ./controllers/release\n%s",
							wrong, seed, strings.Join(again.story, "\n"))
					}
					mine[h.end()]++
				}
				lock.Lock()
				defer lock.Unlock()
				for end, n := range mine {
					ends[end] += n
				}
			})
		}
	})
	for _, end := range slices.Sorted(maps.Keys(ends)) {
		t.Logf("%d histories ended %s", ends[end], end)
	}
	if *histories >= 1000 && !t.Failed() && (ends["verified"] == 0 || ends["rejected"] == 0 || ends["stalled"] == 0) {
		t.Error("the histories do not reach all ends: they prove little")
	}
}

// live goes through one history, by the plans of a planner.
func live(seed uint64, telling bool, plan func(Input) Plan) (h *history, wrong broken) {
	random := rand.New(rand.NewPCG(seed, 0))
	var rollouts []Rollout
	for range 2 + random.IntN(2) {
		rollouts = append(rollouts, anyRollout(random))
	}
	h = &history{world: newWorld(rollouts...), random: random, lastLook: map[int]Plan{}, proved: map[station]bool{}}
	h.telling, h.plan, h.contracts = telling, plan, random.IntN(2) == 0
	h.chance = func(percent int) bool { return random.IntN(100) < percent }
	h.check = h.checkPlan
	defer func() {
		switch found := recover().(type) {
		case nil:
		case broken:
			wrong = found
		case string:
			wrong = broken(found)
		default:
			panic(found)
		}
	}()
	if random.IntN(4) > 0 {
		h.startVerified()
	}
	h.someRelease()
	for range eventsEach {
		h.event()
		h.move(40)
		limit := 1 << 20
		if random.IntN(3) == 0 {
			limit = 1 + random.IntN(4)
		}
		h.pass(limit)
		h.now = h.now.Add(time.Duration(random.IntN(90_000)) * time.Millisecond)
	}
	h.settle()
	return h, ""
}

// startVerified lets a history begin where release scores-1 is verified everywhere.
func (h *history) startVerified() {
	h.release(1, good, 0)
	b := h.target
	for i, p := range h.places {
		p.stable.write(b.Candidate, 0)
		p.stable.Ready, p.stable.Complete, p.verified = p.stable.Replicas, true, b
		p.jobs[b.Migration], p.database[b.Migration] = &job{done: true}, true
		at := &metav1.Time{Time: h.now}
		b.records[i] = v1alpha1.ReleaseEnvironmentStatus{Name: p.name, Step: v1alpha1.StepVerified, Since: at, AdmittedAt: at, PromotedAt: at, VerifiedAt: at}
	}
}

func anyRollout(random *rand.Rand) Rollout {
	r := [](func() Rollout){rolling, careful, careful, blueGreen}[random.IntN(4)]()
	r.SmokeTests = random.IntN(3) > 0
	r.Analysis = r.Strategy != v1alpha1.StrategyRolling && random.IntN(3) > 0
	r.Gateway = random.IntN(3) == 0
	r.ContractAfter = time.Duration(random.IntN(2)) * 10 * time.Minute
	r.Backup, r.Rehearsal = random.IntN(2) == 0, random.IntN(2) == 0
	if random.IntN(2) == 0 {
		r.Soak = 0
	}
	r.NotEnoughData = []v1alpha1.AnalysisPolicy{v1alpha1.AnalysisWait, v1alpha1.AnalysisPass, v1alpha1.AnalysisFail}[random.IntN(3)]
	if random.IntN(4) == 0 {
		r.SourceDown = v1alpha1.AnalysisFail
	}
	return r
}

func (h *history) someRelease() {
	f := []fault{good, good, good, badMigration, badForOldPods, badCanary, badErrors, badPods, badTogether, badContract}[h.random.IntN(10)]
	h.release(1+h.random.IntN(4), f, h.random.IntN(len(h.places)))
}

// event is something that goes wrong or that a person does.
func (h *history) event() {
	p := h.places[h.random.IntN(len(h.places))]
	switch h.random.IntN(40) {
	case 0, 1:
		h.someRelease()
	case 2:
		h.paused = !h.paused
		h.note("", "paused: %t", h.paused)
	case 3:
		p.blocked = nil
		if h.chance(60) {
			p.blocked = &v1alpha1.WaitingFor{Type: []v1alpha1.WaitType{v1alpha1.WaitConsent, v1alpha1.WaitSecret}[h.random.IntN(2)], Message: "something must be mended"}
		}
		h.note(p.name, "blocked: %t", p.blocked != nil)
	case 4:
		p.gate = nil
		if h.chance(60) {
			p.gate = &v1alpha1.WaitingFor{Type: v1alpha1.WaitWindow, Message: "no window is open", Deadline: &metav1.Time{Time: h.now.Add(time.Hour)}}
		}
		h.note(p.name, "window closed: %t", p.gate != nil)
	case 5:
		p.abort = true
		h.note(p.name, "somebody aborts")
	case 6:
		p.resume = true
		h.note(p.name, "somebody resumes")
	case 7:
		h.retry()
	case 8:
		h.hold(p)
	case 9:
		jump := time.Duration(h.random.IntN(7200)-3600) * time.Second
		h.now = h.now.Add(jump)
		h.note("", "the clock jumps by %s", jump)
	case 10:
		p.flaky = !p.flaky
	case 11:
		p.verdict = []v1alpha1.Verdict{"", v1alpha1.VerdictNotEnoughData, v1alpha1.VerdictSourceDown, v1alpha1.VerdictFail}[h.random.IntN(4)]
		h.note(p.name, "the analysis says %q", p.verdict)
	case 12:
		h.editRollout(p)
	case 20:
		p.away = nil
		if h.chance(60) {
			p.away = &v1alpha1.WaitingFor{Type: v1alpha1.WaitCluster, Message: "the cluster of Secret production is away: its API server refuses connections"}
		}
		h.note(p.name, "its cluster is away: %t", p.away != nil)
	case 13, 14, 15, 16, 17, 18, 19:
		h.damage(p)
	}
}

func (h *history) hold(p *place) {
	switch {
	case p.held != nil:
		h.note(p.name, "somebody ends the hold")
		p.held = nil
	case p.verified != nil:
		p.held = h.builds[h.random.IntN(len(h.builds))]
		h.note(p.name, "somebody holds it at %s", p.held.Release)
	}
}

func (h *history) editRollout(p *place) {
	h.note(p.name, "somebody edits the rollout")
	switch h.random.IntN(4) {
	case 0:
		p.rollout.Steps = []Step{{Weight: 10}, {Weight: 60, Hold: 30 * time.Second}}
	case 1:
		p.rollout.Steps = nil
	case 2:
		p.rollout.Steps = []Step{{Weight: 20, Pause: true}}
	default:
		p.rollout.Soak = time.Minute
	}
}

// damage is what happens to pods, and what people do by hand.
func (h *history) damage(p *place) {
	switch h.random.IntN(6) {
	case 0, 1:
		if p.stable.Ready > 0 {
			p.stable.Ready, p.stable.Complete = p.stable.Ready-1, false
			h.note(p.name, "a pod is lost")
		}
	case 2:
		if p.canary.Ready > 0 {
			p.canary.Ready, p.canary.Complete = 0, false
			h.note(p.name, "the canary's pods are lost")
		}
	case 3:
		h.note(p.name, "somebody removes the canary")
		p.canary, p.stopping = Fleet{}, false
	case 4:
		if p.stable.Exists && len(h.builds) > 1 {
			other := h.builds[h.random.IntN(len(h.builds))]
			h.note(p.name, "somebody writes %s into the Deployment", other.Release)
			p.tampered = p.tampered || h.contracts
			p.stable.write(other.Candidate, 0)
			p.stable.Release = other.Release
		}
	case 5:
		h.note(p.name, "somebody moves the requests")
		if p.canary.Ready > 0 {
			p.weight = 30
		}
	}
}

// settle ends all faults, lets the operator work until it rests, and checks how it ends. What was rejected by bad luck is
// retried once.
func (h *history) settle() {
	h.note("", "all faults end")
	h.paused = false
	for _, p := range h.places {
		p.blocked, p.gate, p.away, p.held, p.abort, p.resume, p.flaky, p.verdict, p.stale = nil, nil, nil, nil, false, false, false, "", nil
		for i := range p.rollout.Steps {
			p.rollout.Steps[i].Pause = false
		}
	}
	h.chance, h.resting = nil, true
	h.rest(time.Time{})
	if h.target.rejection != nil {
		h.now = h.now.Add(time.Hour)
		h.retry()
		h.rest(time.Time{})
	}
	h.checkEnd()
	h.checkNothingChanges()
}

// checkNothingChanges looks again, now and much later.
func (h *history) checkNothingChanges() {
	for range 2 {
		if h.pass(1 << 20) {
			panic(broken("something is written although nothing has changed"))
		}
		h.now = h.now.Add(24 * time.Hour)
	}
}

// end says how a history ended.
func (h *history) end() string {
	if h.target.rejection != nil {
		return "rejected"
	}
	for _, p := range h.places {
		if h.lastLook[slices.Index(h.places, p)].Waiting != nil {
			return "stalled"
		}
	}
	return "verified"
}
