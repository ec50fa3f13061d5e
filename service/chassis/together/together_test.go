package together_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/together"
)

const (
	took     = 5 * time.Millisecond
	patience = 20 * time.Millisecond
)

// shop answers "a" by "A of n": it was asked for with n - 1 others.
type shop struct {
	mu   sync.Mutex
	sent [][]string
	// took is how long a call takes.
	took time.Duration
	// jointly replaces what becomes of joint calls.
	jointly func(ctx context.Context, asked []string) ([]together.Answer[string], error)
	shared  atomic.Int64
}

func (s *shop) add(asked ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, slices.Clone(asked))
}

// take returns what was sent, in the order in which it was.
func (s *shop) take() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

func (s *shop) group(edits ...func(*together.Config[string, string])) *together.Group[string, string] {
	cfg := together.Config[string, string]{
		Width: 1, Most: 4, Patience: patience,
		Alone: func(ctx context.Context, asked string) (string, error) {
			s.add(asked)
			return asked + " alone", wait(ctx, s.took)
		},
		Jointly: func(ctx context.Context, asked []string) ([]together.Answer[string], error) {
			s.add(asked...)
			if s.jointly != nil {
				return s.jointly(ctx, asked)
			}
			answers := make([]together.Answer[string], len(asked))
			for i, a := range asked {
				answers[i].Value = fmt.Sprintf("%s of %d", a, len(asked))
			}
			return answers, wait(ctx, s.took)
		},
		Shared: func(context.Context, time.Time, error) { s.shared.Add(1) },
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	return together.New(cfg)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outcome is how a call ended, and how long after the start of the test.
type outcome struct {
	Answer string
	Err    error
	At     time.Duration
}

// asks makes calls in the order given, each after the one before is under way or waits, and returns how they end by what they asked.
type asks struct {
	t       *testing.T
	group   *together.Group[string, string]
	started time.Time
	running sync.WaitGroup
	mu      sync.Mutex
	ended   map[string]outcome
}

func newAsks(t *testing.T, g *together.Group[string, string]) *asks {
	t.Helper()
	return &asks{t: t, group: g, started: time.Now(), ended: map[string]outcome{}}
}

func (a *asks) ask(ctx context.Context, asked ...string) {
	for _, q := range asked {
		a.running.Go(func() {
			answer, err := a.group.Do(ctx, q)
			a.mu.Lock()
			defer a.mu.Unlock()
			a.ended[q] = outcome{answer, err, time.Since(a.started)}
		})
		synctest.Wait()
	}
}

func (a *asks) all() map[string]outcome {
	a.running.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

func (a *asks) expect(want map[string]outcome) {
	a.t.Helper()
	same := cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) || errors.Is(b, a) })
	if diff := cmp.Diff(want, a.all(), same); diff != "" {
		a.t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func expectSent(t *testing.T, s *shop, want ...[]string) {
	t.Helper()
	if diff := cmp.Diff(want, s.take()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestWhoComesAloneGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: took}
		g := s.group()
		for range 3 {
			a := newAsks(t, g)
			a.ask(t.Context(), "a")
			a.expect(map[string]outcome{"a": {"a alone", nil, took}})
		}
		expectSent(t, s, []string{"a"}, []string{"a"}, []string{"a"})
		if n := s.shared.Load(); n != 0 {
			t.Errorf("%d calls were told of as shared", n)
		}
	})
}

func TestWhoComesMeanwhileGoesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: took}
		a := newAsks(t, s.group())
		a.ask(t.Context(), "a", "b", "c", "d", "e", "f", "g")
		a.expect(map[string]outcome{
			"a": {"a alone", nil, took},
			"b": {"b of 4", nil, 2 * took}, "c": {"c of 4", nil, 2 * took}, "d": {"d of 4", nil, 2 * took}, "e": {"e of 4", nil, 2 * took},
			"f": {"f of 2", nil, 3 * took}, "g": {"g of 2", nil, 3 * took},
		})
		expectSent(t, s, []string{"a"}, []string{"b", "c", "d", "e"}, []string{"f", "g"})
		if n := s.shared.Load(); n != 6 {
			t.Errorf("%d calls were told of as shared, want 6", n)
		}
	})
}

func TestOneThatWaitsAloneGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: took}
		a := newAsks(t, s.group(func(cfg *together.Config[string, string]) { cfg.Width = 2 }))
		a.ask(t.Context(), "a", "b", "c")
		a.expect(map[string]outcome{"a": {"a alone", nil, took}, "b": {"b alone", nil, took}, "c": {"c alone", nil, 2 * took}})
		expectSent(t, s, []string{"a"}, []string{"b"}, []string{"c"})
	})
}

// A call that began before must not answer one that came later: it has not seen what was done in between.
func TestNobodyIsAnsweredByWhatBeganBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written, seen atomic.Int64
		s := &shop{}
		read := func(ctx context.Context) error {
			seen.Store(written.Load())
			return wait(ctx, took)
		}
		g := s.group(func(cfg *together.Config[string, string]) {
			cfg.Alone = func(ctx context.Context, _ string) (string, error) {
				err := read(ctx)
				return fmt.Sprint(seen.Load()), err
			}
			cfg.Jointly = func(ctx context.Context, asked []string) ([]together.Answer[string], error) {
				answers := make([]together.Answer[string], len(asked))
				err := read(ctx)
				for i := range answers {
					answers[i].Value = fmt.Sprint(seen.Load())
				}
				return answers, err
			}
		})
		a := newAsks(t, g)
		a.ask(t.Context(), "a", "b", "c")
		time.Sleep(took + took/2) // b and c are under way
		written.Store(1)
		a.ask(t.Context(), "d", "e")
		got := a.all()
		for asked, want := range map[string]string{"a": "0", "b": "0", "c": "0", "d": "1", "e": "1"} {
			if got[asked].Answer != want {
				t.Errorf("%s was answered by %s, want %s", asked, got[asked].Answer, want)
			}
		}
	})
}

func TestAnErrorIsOfOneOrOfAll(t *testing.T) {
	failed, absent := errors.New("failed"), errors.New("absent")
	for name, tc := range map[string]struct {
		answers []together.Answer[string]
		err     error
		want    map[string]outcome
		sent    [][]string
	}{
		"one has an error of its own": {
			answers: []together.Answer[string]{{Value: "B"}, {Err: absent}, {Value: "D"}},
			want:    map[string]outcome{"b": {"B", nil, took}, "c": {"", absent, took}, "d": {"D", nil, took}},
		},
		"all have failed": {
			err:  failed,
			want: map[string]outcome{"b": {"", failed, took}, "c": {"", failed, took}, "d": {"", failed, took}},
		},
		"one is to go alone": {
			answers: []together.Answer[string]{{Value: "B"}, {Err: together.ErrAlone}, {Value: "D"}},
			want:    map[string]outcome{"b": {"B", nil, took}, "c": {"c alone", nil, 2 * took}, "d": {"D", nil, took}},
			sent:    [][]string{{"c"}},
		},
		"all are to go alone": {
			err:  together.ErrAlone,
			want: map[string]outcome{"b": {"b alone", nil, 2 * took}, "c": {"c alone", nil, 2 * took}, "d": {"d alone", nil, 2 * took}},
			sent: [][]string{{"b"}, {"c"}, {"d"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shop{took: took, jointly: func(context.Context, []string) ([]together.Answer[string], error) {
					return tc.answers, tc.err
				}}
				a := newAsks(t, s.group())
				a.ask(t.Context(), "a", "b", "c", "d")
				tc.want["a"] = outcome{"a alone", nil, took}
				a.expect(tc.want)
				sent := s.take()
				slices.SortFunc(sent[2:], slices.Compare)
				if diff := cmp.Diff(append([][]string{{"a"}, {"b", "c", "d"}}, tc.sent...), sent); diff != "" {
					t.Errorf("sent (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTheSameGoesWithOthersOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: took}
		a := newAsks(t, s.group(func(cfg *together.Config[string, string]) { cfg.Key = func(asked string) string { return asked[:1] } }))
		a.ask(t.Context(), "a", "b1", "c1", "b2", "c2", "d1", "b3")
		a.all()
		expectSent(t, s, []string{"a"}, []string{"b1", "c1", "d1"}, []string{"b2", "c2"}, []string{"b3"})
	})
}

func TestWhoHasNoTimeLeftLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: 4 * took}
		a := newAsks(t, s.group(func(cfg *together.Config[string, string]) { cfg.Patience = time.Hour }))
		soon, cancel := context.WithTimeout(t.Context(), took)
		defer cancel()
		later, cancel := context.WithTimeout(t.Context(), 5*took)
		defer cancel()
		a.ask(t.Context(), "a", "b")
		a.ask(soon, "waits")
		a.ask(later, "goes")
		a.ask(t.Context(), "c")
		a.expect(map[string]outcome{
			"a": {"a alone", nil, 4 * took}, "waits": {"", context.DeadlineExceeded, took}, "goes": {"", context.DeadlineExceeded, 5 * took},
			"b": {"b of 3", nil, 8 * took}, "c": {"c of 3", nil, 8 * took},
		})
		expectSent(t, s, []string{"a"}, []string{"b", "goes", "c"})
	})
}

func TestWhoStaysHearsHowItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: 4 * took}
		a := newAsks(t, s.group(func(cfg *together.Config[string, string]) { cfg.Patience, cfg.Stay = time.Hour, true }))
		soon, cancel := context.WithTimeout(t.Context(), took)
		defer cancel()
		later, cancel := context.WithTimeout(t.Context(), 5*took)
		defer cancel()
		a.ask(t.Context(), "a", "b")
		a.ask(soon, "waits")
		a.ask(later, "goes")
		a.expect(map[string]outcome{
			"a": {"a alone", nil, 4 * took}, "waits": {"", context.DeadlineExceeded, took}, // it was not sent
			"b": {"b of 2", nil, 8 * took}, "goes": {"goes of 2", nil, 8 * took},
		})
	})
}

// What nobody waits for any more is not carried on, and lasts no longer than the last of those who wait.
func TestAJointCallEndsWithTheLastWhoWaits(t *testing.T) {
	for _, stays := range []bool{false, true} {
		t.Run(fmt.Sprintf("stays %v", stays), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended atomic.Int64
				started := time.Now()
				s := &shop{took: took, jointly: func(ctx context.Context, _ []string) ([]together.Answer[string], error) {
					<-ctx.Done()
					ended.Store(int64(time.Since(started)))
					return nil, ctx.Err()
				}}
				a := newAsks(t, s.group(func(cfg *together.Config[string, string]) { cfg.Patience, cfg.Stay = time.Hour, stays }))
				canceled, cancel := context.WithTimeout(t.Context(), 3*took)
				later, cancelLater := context.WithTimeout(t.Context(), 4*took)
				defer cancelLater()
				a.ask(t.Context(), "a")
				a.ask(canceled, "b")
				a.ask(later, "c")
				time.Sleep(2 * took)
				cancel()
				got := a.all()
				synctest.Wait()
				if after := time.Duration(ended.Load()); after != 4*took {
					t.Errorf("it ended after %s, want %s", after, 4*took)
				}
				for asked, want := range map[string]error{"b": context.Canceled, "c": context.DeadlineExceeded} {
					if err := got[asked].Err; !errors.Is(err, want) {
						t.Errorf("%s: %v, want %v", asked, err, want)
					}
				}
			})
		})
	}
}

func TestTheJointCallCarriesNothingOfThoseWhoWait(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var value any
		s := &shop{took: took, jointly: func(ctx context.Context, asked []string) ([]together.Answer[string], error) {
			value = ctx.Value(key{})
			return make([]together.Answer[string], len(asked)), nil
		}}
		a := newAsks(t, s.group())
		a.ask(context.WithValue(t.Context(), key{}, "alice"), "a", "b", "c")
		a.all()
		if value != nil {
			t.Errorf("it carries %v", value)
		}
	})
}

// Behind calls that nobody answers nobody waits longer than once.
func TestWhatTakesTooLongIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: time.Hour}
		g := s.group(func(cfg *together.Config[string, string]) {
			alone := cfg.Alone
			cfg.Alone = func(ctx context.Context, asked string) (string, error) {
				if asked != "stuck" {
					return "refused", nil
				}
				return alone(ctx, asked)
			}
			cfg.Jointly = func(context.Context, []string) ([]together.Answer[string], error) {
				return nil, context.DeadlineExceeded
			}
		})
		a := newAsks(t, g)
		a.ask(t.Context(), "stuck", "b", "c")
		time.Sleep(patience)
		synctest.Wait()
		a.ask(t.Context(), "d")
		time.Sleep(patience / 2)
		a.ask(t.Context(), "e")
		a.expect(map[string]outcome{
			"stuck": {"stuck alone", nil, time.Hour},
			"b":     {"", context.DeadlineExceeded, patience}, "c": {"", context.DeadlineExceeded, patience},
			"d": {"refused", nil, patience}, "e": {"refused", nil, patience * 3 / 2},
		})
	})
}

// What was overtaken ends some time. It must not let more be under way than may.
func TestWhatWasOvertakenIsNotCountedWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: 3 * patience / 2}
		a := newAsks(t, s.group())
		a.ask(t.Context(), "a", "b") // b goes at 2/2 of the patience, a ends at 3/2, b at 5/2
		time.Sleep(patience * 5 / 4)
		a.ask(t.Context(), "c") // it waits for b, though a ends before
		a.expect(map[string]outcome{
			"a": {"a alone", nil, patience * 3 / 2}, "b": {"b alone", nil, patience * 5 / 2}, "c": {"c alone", nil, patience * 15 / 4},
		})
	})
}

func TestAPanicIsThatOfThoseWhoCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{took: took, jointly: func(context.Context, []string) ([]together.Answer[string], error) { panic("no") }}
		g := s.group()
		var panics atomic.Int64
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() {
				defer func() {
					if recover() == "no" {
						panics.Add(1)
					}
				}()
				_, _ = g.Do(t.Context(), "a")
			})
			synctest.Wait()
		}
		running.Wait()
		if n := panics.Load(); n != 2 {
			t.Errorf("%d panics, want 2", n)
		}
		if answer, err := g.Do(t.Context(), "b"); answer != "b alone" || err != nil {
			t.Errorf("afterwards %q, %v", answer, err)
		}
	})
}

// Many callers, some of whom lose patience: each gets its own answer, everything ends, and no more than may is under way.
func TestEachGetsItsOwnAnswer(t *testing.T) {
	for _, stays := range []bool{false, true} {
		t.Run(fmt.Sprintf("stays %v", stays), func(t *testing.T) {
			var underWay atomic.Int64
			enter := func() func() {
				if n := underWay.Add(1); n > 2 {
					t.Errorf("%d calls are under way at once, want 2", n)
				}
				return func() { underWay.Add(-1) }
			}
			g := together.New(together.Config[int, int]{
				Width: 2, Most: 8, Patience: time.Hour, Stay: stays, Key: func(n int) string { return fmt.Sprint(n % 50) },
				Alone: func(_ context.Context, n int) (int, error) {
					defer enter()()
					time.Sleep(50 * time.Microsecond)
					return -n, nil
				},
				Jointly: func(_ context.Context, all []int) ([]together.Answer[int], error) {
					defer enter()()
					keys := map[int]bool{}
					answers := make([]together.Answer[int], len(all))
					for i, n := range all {
						if keys[n%50] {
							t.Errorf("%d goes twice at once", n%50)
						}
						keys[n%50] = true
						answers[i].Value = -n
					}
					time.Sleep(50 * time.Microsecond)
					return answers, nil
				},
			})
			var running sync.WaitGroup
			for c := range 32 {
				running.Go(func() {
					for i := range 200 {
						n := c*200 + i
						ctx, cancel := context.WithCancel(t.Context())
						if n%7 == 0 {
							time.AfterFunc(time.Duration(n%100)*time.Microsecond, cancel)
						}
						got, err := g.Do(ctx, n)
						if err == nil && got != -n {
							t.Errorf("%d was answered by %d", n, got)
						}
						if err != nil && n%7 != 0 {
							t.Errorf("%d: %v", n, err)
						}
						cancel()
					}
				})
			}
			running.Wait()
		})
	}
}
