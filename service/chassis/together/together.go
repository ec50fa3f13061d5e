// Package together lets calls of the same kind that come while others are under way go together, as one call that answers all
// of them: what it costs once is then shared by as many as there are, and there are the more the busier it is. Nobody waits for
// others to come. Who comes while little is under way goes at once and alone, as if this package were not there.
//
// It owns who goes when and with whom. It knows nothing of databases: what a call is, and how several are made one, is up to its
// user. A call is only ever answered by a joint call that began after it came, so it sees what was done before.
package together

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrAlone is what a joint call returns, for all of its calls or for one, that shall be made alone.
var ErrAlone = errors.New("the call is to be made alone")

// Config says what goes together. All fields but Key, Stay and Shared are required.
type Config[Q, A any] struct {
	// Width is how many calls, joint ones or single, are under way before others wait for one of them to end.
	Width int
	// Most is how many calls go together at most.
	Most int
	// Patience is how long a call waits for those under way at most. Those that take longer are no longer counted: behind calls
	// to somebody who does not answer nobody is kept waiting.
	Patience time.Duration
	// Alone makes one call.
	Alone func(ctx context.Context, asked Q) (A, error)
	// Jointly makes several calls as one and returns an answer for each, in their order, or an error for all. Its context ends
	// when the last of those who wait has gone, or would have. Whoever is answered by ErrAlone makes the call alone, so a joint call that
	// was answered so must have done nothing, or nothing for that one.
	Jointly func(ctx context.Context, asked []Q) ([]Answer[A], error)
	// Key names what a call is about. Of those about the same thing only one goes with others at a time. Nil is that it does not
	// matter.
	Key func(Q) string
	// Stay says that who goes with others stays until the joint call has ended, also when its own context ends before: when Do
	// returns, what was asked for is done, or will not be. Otherwise it leaves, and the joint call goes on for the others.
	Stay bool
	// Shared is told of each call that was answered by a joint one, by the goroutine that made the call; since is when it came.
	Shared func(ctx context.Context, since time.Time, err error)
	// Sent is told of how many calls went as one, 1 included.
	Sent func(calls int)
}

// Answer is what a joint call returns for one of its calls.
type Answer[A any] struct {
	Value A
	Err   error
}

// Group is where calls meet. It may be used by many goroutines.
type Group[Q, A any] struct {
	cfg Config[Q, A]

	mu sync.Mutex
	// era counts how often what was under way took too long to be waited for; underWay are those of the present one.
	era      uint64
	underWay int
	// waiting are in the order in which they came.
	waiting []*call[Q, A]
	// overdue runs out when the first of those who wait has waited for long enough.
	overdue *time.Timer
}

// call is one that waits, or goes with others.
type call[Q, A any] struct {
	asked Q
	since time.Time
	end   time.Time
	// joint is the one that it goes with; nil as long as it waits, and if it goes alone. It belongs to the group's lock.
	joint *joint
	// ready is closed when answer is there; or, if turn says so, when it is this call's turn to go alone.
	ready  chan struct{}
	answer Answer[A]
	panics any
	// givenUp says that the joint call was given up, since the time of all had come or they had gone: each has a reason of its own.
	givenUp bool
	turn    bool
	era     uint64
}

// joint is one call for several.
type joint struct {
	cancel context.CancelFunc
	// interested are those who have not gone.
	interested atomic.Int64
}

// gone says that one is no longer interested. When nobody is, the call need not go on.
func (j *joint) gone() {
	if j.interested.Add(-1) == 0 {
		j.cancel()
	}
}

// New returns a group.
func New[Q, A any](cfg Config[Q, A]) *Group[Q, A] {
	return &Group[Q, A]{cfg: cfg}
}

// Do makes a call, alone or together with others, and returns what was answered to it. If ctx ends while it waits, nothing was done; the
// error is that of ctx then, as it is when the call was given up with others.
func (g *Group[Q, A]) Do(ctx context.Context, asked Q) (A, error) {
	g.mu.Lock()
	if g.underWay < g.cfg.Width && len(g.waiting) == 0 {
		g.underWay++
		era := g.era
		g.mu.Unlock()
		return g.alone(ctx, asked, era)
	}
	c := g.enqueue(ctx, asked)
	g.mu.Unlock()
	select {
	case <-c.ready:
	case <-ctx.Done():
		if g.leave(c) {
			var none A
			return none, ctx.Err()
		}
	}
	switch {
	case c.turn:
		return g.alone(ctx, asked, c.era)
	case c.panics != nil:
		panic(c.panics)
	case c.givenUp:
		<-ctx.Done()
		var none A
		return none, ctx.Err()
	case errors.Is(c.answer.Err, ErrAlone):
		return g.cfg.Alone(ctx, asked)
	}
	if g.cfg.Shared != nil {
		g.cfg.Shared(ctx, c.since, c.answer.Err)
	}
	return c.answer.Value, c.answer.Err
}

// alone makes one call and lets others go when it has ended.
func (g *Group[Q, A]) alone(ctx context.Context, asked Q, era uint64) (A, error) {
	defer g.ended(era)
	g.sent(1)
	return g.cfg.Alone(ctx, asked)
}

func (g *Group[Q, A]) sent(calls int) {
	if g.cfg.Sent != nil {
		g.cfg.Sent(calls)
	}
}

// enqueue lets a call wait. The lock is held.
func (g *Group[Q, A]) enqueue(ctx context.Context, asked Q) *call[Q, A] {
	c := &call[Q, A]{asked: asked, since: time.Now(), ready: make(chan struct{})}
	c.end, _ = ctx.Deadline()
	g.waiting = append(g.waiting, c)
	if len(g.waiting) == 1 {
		g.watch()
	}
	return c
}

// leave ends the waiting of a call whose context has ended, and reports whether that was all. Otherwise it is answered by now, or its turn
// has come, which it has to take, if only to pass it on.
func (g *Group[Q, A]) leave(c *call[Q, A]) bool {
	g.mu.Lock()
	for i, w := range g.waiting {
		if w == c {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.watch()
			g.mu.Unlock()
			return true
		}
	}
	j := c.joint
	g.mu.Unlock()
	if j != nil {
		j.gone()
		if !g.cfg.Stay {
			return true
		}
	}
	<-c.ready
	return false
}

// ended is told when a call of the era has ended.
func (g *Group[Q, A]) ended(era uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if era != g.era {
		return
	}
	g.underWay--
	if len(g.waiting) == 0 {
		return
	}
	for g.underWay < g.cfg.Width && len(g.waiting) > 0 {
		g.send()
	}
	g.watch()
}

// watch sets the timer for the first of those who wait. The lock is held.
func (g *Group[Q, A]) watch() {
	switch {
	case len(g.waiting) == 0:
		if g.overdue != nil {
			g.overdue.Stop()
		}
	case g.overdue == nil:
		g.overdue = time.AfterFunc(g.cfg.Patience, g.overtake)
	default:
		g.overdue.Reset(time.Until(g.waiting[0].since.Add(g.cfg.Patience)))
	}
}

// overtake lets those go who have waited for long enough. What is under way is no longer counted.
func (g *Group[Q, A]) overtake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	// The timer may have run out while those it was set for were sent.
	if len(g.waiting) == 0 || time.Since(g.waiting[0].since) < g.cfg.Patience {
		return
	}
	g.era++
	g.underWay = 0
	for g.underWay < g.cfg.Width && len(g.waiting) > 0 {
		g.send()
	}
	g.watch()
}

// send lets the first of those who wait go, with as many others as may. The lock is held.
func (g *Group[Q, A]) send() {
	g.underWay++
	batch := g.take()
	if len(batch) == 1 {
		batch[0].turn, batch[0].era = true, g.era
		close(batch[0].ready)
		return
	}
	ctx, j := begin(batch)
	go g.jointly(ctx, j, batch, g.era)
}

// take removes those who go next from those who wait.
func (g *Group[Q, A]) take() []*call[Q, A] {
	if g.cfg.Key == nil {
		n := min(len(g.waiting), g.cfg.Most)
		batch := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		if len(g.waiting) == 0 {
			g.waiting = nil // what was sent is not kept
		}
		return batch
	}
	var batch, left []*call[Q, A]
	taken := make(map[string]struct{}, min(len(g.waiting), g.cfg.Most))
	for _, c := range g.waiting {
		key := g.cfg.Key(c.asked)
		if _, ok := taken[key]; ok || len(batch) == g.cfg.Most {
			left = append(left, c)
			continue
		}
		taken[key] = struct{}{}
		batch = append(batch, c)
	}
	g.waiting = left
	return batch
}

// begin returns the context of a joint call. It carries nothing of those that it is made for, since it is not about one of them, and lasts
// as long as the last of them waits. The lock is held.
func begin[Q, A any](batch []*call[Q, A]) (context.Context, *joint) {
	last := batch[0].end
	for _, c := range batch[1:] {
		if c.end.IsZero() || last.IsZero() {
			last = time.Time{}
			break
		}
		if c.end.After(last) {
			last = c.end
		}
	}
	j := &joint{}
	ctx := context.Background()
	if last.IsZero() {
		ctx, j.cancel = context.WithCancel(ctx)
	} else {
		ctx, j.cancel = context.WithDeadline(ctx, last)
	}
	j.interested.Store(int64(len(batch)))
	for _, c := range batch {
		c.joint = j
	}
	return ctx, j
}

// jointly makes several calls as one and tells each what was answered to it.
func (g *Group[Q, A]) jointly(ctx context.Context, j *joint, batch []*call[Q, A], era uint64) {
	defer g.ended(era)
	defer j.cancel()
	defer func() {
		// A panic is that of those who called: in this goroutine it would end the process.
		panics := recover()
		for _, c := range batch {
			c.panics = panics
			close(c.ready)
		}
	}()
	g.sent(len(batch))
	asked := make([]Q, len(batch))
	for i, c := range batch {
		asked[i] = c.asked
	}
	answers, err := g.cfg.Jointly(ctx, asked)
	for i, c := range batch {
		if err != nil {
			c.answer.Err, c.givenUp = err, ctx.Err() != nil
			continue
		}
		c.answer = answers[i]
	}
}
