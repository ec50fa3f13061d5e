package resilience

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// ErrStill is the cause of a refusal while a dependency stands still.
var ErrStill = errors.New("the dependency stands still")

const (
	// silence is how long calls may go without any answer before the dependency is asked whether it is there, and how long
	// it has for that answer. Both together, and one beat, stay below a second.
	silence = 400 * time.Millisecond
	// back is how long a dependency that stands still, or has not answered a question yet, has for an answer. The driver gives the
	// connection up with a question that was not answered; who has to make a new one first, on a machine that has a lot to catch up on,
	// or where everything has just been started, needs longer than for an answer.
	back = time.Second
	// beat is how often a Pulse looks.
	beat = 50 * time.Millisecond
	// late is how long after its time a Pulse may notice something and still blame the dependency. Who is later than that was
	// kept from running, by a busy machine or a used-up share of its processors, and has not listened.
	late = 2 * beat
)

// Pulse finds out that a dependency stands still: that it takes calls and answers none, as a stopped process or a vanished
// host does. A breaker alone learns that only when calls have used up their time. What is merely slow does not stand still: a
// Pulse asks it something that costs nothing, over a way of its own, before it says so. Nor does it say so while its own
// process is kept from running. While the dependency stands still every call is refused at once, and it is asked until it
// answers. One Pulse may be shared by everything that calls the dependency, and may be used by many goroutines.
type Pulse struct {
	dependency string
	judge      func(error) Outcome
	logger     *slog.Logger

	begun   time.Time
	waiting atomic.Int64
	// heard is when there was an answer last, or when somebody began to wait for one, since begun.
	heard atomic.Int64
	still atomic.Bool
	// known says whether a question was ever answered. It is Run's.
	known bool
}

// NewPulse returns the pulse of a dependency that has not stood still yet; Run it. What judge says of errors is what it says
// to a Shield.
func NewPulse(dependency string, judge func(error) Outcome, logger *slog.Logger) *Pulse {
	return &Pulse{dependency: dependency, judge: judge, logger: logger, begun: time.Now()}
}

// Run looks until ctx ends. Ask returns an error if there is no answer by the end of its context. It is asked once at the beginning, so
// that its way is there when it is needed.
func (p *Pulse) Run(ctx context.Context, ask func(context.Context) error) {
	p.look(ctx, ask)
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for looked := time.Now(); ; looked = time.Now() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if time.Since(looked) > beat+late {
				p.hear()
			}
			if p.still.Load() || p.isSilent() {
				p.look(ctx, ask)
			}
		}
	}
}

// isSilent says whether somebody waits and nobody has been answered for a while.
func (p *Pulse) isSilent() bool {
	return p.waiting.Load() > 0 && time.Since(p.begun)-time.Duration(p.heard.Load()) >= silence
}

// look asks the dependency. Only a question that is still open at the end of its time shows that it stands still: who refuses
// connections has answered, and the breakers know what to make of it.
func (p *Pulse) look(ctx context.Context, ask func(context.Context) error) {
	patience := silence
	if p.still.Load() || !p.known {
		patience = back
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked := time.Now()
	err := ask(asking)
	switch {
	case ctx.Err() != nil:
	case err == nil:
		p.known = true
		p.hear()
		if p.still.Swap(false) {
			p.logger.InfoContext(ctx, "Answering again", "dependency", p.dependency)
		}
	case asking.Err() == nil:
	case time.Since(asked) > patience+late:
		p.hear()
	case p.isSilent() && !p.still.Swap(true): // no call was answered meanwhile
		p.logger.WarnContext(ctx, "Standing still", "dependency", p.dependency, "error", err.Error())
	}
}

func (p *Pulse) hear() { p.heard.Store(int64(time.Since(p.begun))) }

// Do makes the call unless the dependency stands still, which it tells by an Unavailable fault around ErrStill. It is the
// protection of calls that need no other.
func (p *Pulse) Do(ctx context.Context, _ bool, call func(context.Context) error) error {
	if p.isStill() {
		return refusal(ErrStill, silence)
	}
	return p.feel(func() error { return call(ctx) })
}

// isStill says whether calls are refused. No Pulse is none that stands still.
func (p *Pulse) isStill() bool { return p != nil && p.still.Load() }

// feel makes the call and notes whether it was answered.
func (p *Pulse) feel(call func() error) error {
	if p == nil {
		return call()
	}
	if p.waiting.Add(1) == 1 {
		p.hear() // the silence begins with the first who waits
	}
	defer p.waiting.Add(-1)
	err := call()
	if err == nil || !p.judge(err).isFailure() {
		p.hear()
	}
	return err
}
