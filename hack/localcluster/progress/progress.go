// Package progress tells a waiting person what is being done, how long it took and how long it may still take. It owns
// the wording and the rhythm of those lines and knows nothing of what the steps do.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// quietInterval is how long a step may run without a line on an output that is no terminal, such as the log of a CI run.
const quietInterval = 15 * time.Second

// Reporter prints one line a step. The zero value is not usable; see New. Steps follow one another: a Reporter is for
// one goroutine, but Update may be called from others while a step runs.
type Reporter struct {
	out      io.Writer
	terminal bool
	now      func() time.Time
	started  time.Time

	mu       sync.Mutex
	step     string
	lastLine time.Time
}

// New returns a Reporter that writes to out; on a terminal the line of a running step is rewritten in place.
func New(out io.Writer) *Reporter {
	file, ok := out.(*os.File)
	return &Reporter{
		out:      out,
		terminal: ok && term.IsTerminal(int(file.Fd())),
		now:      time.Now,
		started:  time.Now(),
	}
}

// Step runs do and reports it under name with the time it took. It returns do's error, wrapped with the name.
func (r *Reporter) Step(name string, do func() error) error {
	begin := r.now()
	r.mu.Lock()
	r.step, r.lastLine = name, begin
	if r.terminal {
		fmt.Fprintf(r.out, "         %s ...", name)
	}
	r.mu.Unlock()

	err := do()

	r.mu.Lock()
	defer r.mu.Unlock()
	outcome := ""
	if err != nil {
		outcome = ": did not succeed"
	}
	r.clear()
	fmt.Fprintf(r.out, "%6.1f s %s%s\n", r.now().Sub(begin).Seconds(), name, outcome)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Update shows how far the running step has come. On a terminal it replaces the line, elsewhere it prints a new one now
// and then, so that a log stays short.
func (r *Reporter) Update(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if r.terminal {
		r.clear()
		fmt.Fprintf(r.out, "         %s: %s", r.step, text)
		return
	}
	if now := r.now(); now.Sub(r.lastLine) >= quietInterval {
		r.lastLine = now
		fmt.Fprintf(r.out, "         %s: %s\n", r.step, text)
	}
}

// Note prints a line that is no step.
func (r *Reporter) Note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "         "+format+"\n", args...)
}

// Elapsed is the time since New.
func (r *Reporter) Elapsed() time.Duration { return r.now().Sub(r.started) }

func (r *Reporter) clear() {
	if r.terminal {
		fmt.Fprint(r.out, "\r\033[K")
	}
}

// Count is how far a piece of work with a known number of parts has come.
type Count struct {
	Done, Total int
	Elapsed     time.Duration
}

// Left estimates the time still needed from the pace so far; ok is false while too little is done to tell.
func (c Count) Left() (left time.Duration, ok bool) {
	const enough = 20 // parts; the first ones are small and would promise too much
	if c.Done < enough || c.Total < c.Done {
		return 0, false
	}
	return time.Duration(float64(c.Elapsed) / float64(c.Done) * float64(c.Total-c.Done)), true
}

// String is the count for a person, such as "512 of 2594 packages, about 6m left".
func (c Count) String() string {
	text := fmt.Sprintf("%d of %d packages", c.Done, c.Total)
	switch left, ok := c.Left(); {
	case !ok:
		return text
	case left >= time.Minute:
		return fmt.Sprintf("%s, about %dm left", text, int(left.Round(time.Minute).Minutes()))
	default:
		return fmt.Sprintf("%s, about %ds left", text, int(left.Round(time.Second).Seconds()))
	}
}
