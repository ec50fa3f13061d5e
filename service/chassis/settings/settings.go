// Package settings brings live settings into a running service. It owns where they come from (a directory of generations, or somebody
// who sends what will soon be in it, as docs/service-contract.md describes it), noticing that they change, and which ones are in
// force; what they mean is up to those who read them. What settings there are is api/settings.
//
// A file that cannot be used changes nothing: the last good settings stay in force, and the log, the metrics and the health
// report say why.
package settings

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
)

// Observer measures what becomes of settings. It is called by one goroutine at a time.
type Observer interface {
	// SettingsChanged tells the state after each change of it.
	SettingsChanged(State)
}

// State says which settings are in force.
type State struct {
	// Generation is the number of the settings in force; 0 stands for those that the service was started with.
	Generation int64
	// Error says why the settings that were found last are not in force; empty when they are.
	Error string
	// Rejected is the number of the generation that Error is about; 0 when there is none or its number is not known.
	Rejected int64
}

// Config says where settings come from. All fields but Dir, GenerationFile and Observer are required.
type Config struct {
	// Dir is the directory of generations; empty means that Base holds for good.
	Dir string
	// GenerationFile is where the pod's own generation is written; empty, or a file that is absent or empty, means the current one.
	GenerationFile string
	// Base is what holds where the generations say nothing. It has every field.
	Base settings.Settings
	// Every is how often the files are read without having been told that they changed. It is positive.
	Every    time.Duration
	Observer Observer
	Logger   *slog.Logger
}

// Live are settings that may change at any time. It may be used by many goroutines.
type Live struct {
	cfg     Config
	current atomic.Pointer[settings.Settings]
	state   atomic.Pointer[State]

	receiving sync.Mutex // held while settings are received

	mu          sync.Mutex // held while settings change
	seen        generation // the last one in force
	pushed      *push      // what was sent and is newer than the files; nil for nothing
	nonce       string     // what the next push must have
	subscribers []func(settings.Settings)
}

// Open reads the settings once. Files that cannot be used are no error: Base is in force then.
func Open(cfg Config) *Live {
	l := &Live{cfg: cfg, nonce: rand.Text()}
	l.current.Store(&cfg.Base)
	l.state.Store(&State{})
	l.observe(State{})
	l.load()
	return l
}

// Current returns the settings in force: every field that has a default is set. They must not be changed. Call it once for a
// request, so that the request sees one state.
func (l *Live) Current() *settings.Settings { return l.current.Load() }

// State says which settings are in force.
func (l *Live) State() State { return *l.state.Load() }

// Report is State for others to read, and what they need for Push.
func (l *Live) Report() contract.SettingsReport {
	state := l.State()
	return contract.SettingsReport{Generation: state.Generation, Rejected: state.Rejected, Error: state.Error, Nonce: l.Nonce()}
}

// Subscribe calls apply with the settings in force, and again after each change, one call at a time and in order. Use it for what
// must be rebuilt; apply must be quick and must not call Subscribe.
func (l *Live) Subscribe(apply func(settings.Settings)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribers = append(l.subscribers, apply)
	apply(*l.Current())
}

// load puts into force what is wanted, if it is good and differs from what is.
func (l *Live) load() {
	if l.cfg.Dir == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apply()
}

// apply is load for those who hold the lock.
func (l *Live) apply() {
	found, err := l.latest()
	if err == nil && found.number == l.seen.number && bytes.Equal(found.text, l.seen.text) {
		l.report(State{Generation: found.number})
		return
	}
	var next settings.Settings
	if err == nil {
		next, err = l.decode(found.text)
	}
	if err != nil {
		l.report(State{Generation: l.seen.number, Rejected: found.number, Error: err.Error()})
		return
	}
	l.seen = found
	l.current.Store(&next)
	for _, apply := range l.subscribers {
		apply(next)
	}
	l.report(State{Generation: found.number})
	l.cfg.Logger.Info("Applying settings", "generation", found.number)
}

// decode reads one generation and looks at what it makes together with the base, since a field may be good by itself and
// contradict another one's default.
func (l *Live) decode(text []byte) (settings.Settings, error) {
	read, err := settings.Decode(text)
	if err != nil {
		return settings.Settings{}, err
	}
	merged := settings.Merge(l.cfg.Base, read)
	var problems []error
	for _, p := range merged.Validate() {
		problems = append(problems, p)
	}
	if err := errors.Join(problems...); err != nil {
		return settings.Settings{}, fmt.Errorf("together with the defaults: %w", err)
	}
	return merged, nil
}

// report makes the state known if it is news.
func (l *Live) report(next State) {
	before := l.State()
	if next == before {
		return
	}
	l.state.Store(&next)
	l.observe(next)
	switch {
	case next.Error != "":
		l.cfg.Logger.Error("Rejecting settings",
			"generation", next.Rejected, "stillInForce", next.Generation, "error", next.Error)
	case before.Error != "" && next.Generation == before.Generation:
		l.cfg.Logger.Info("Finding the settings in force again", "generation", next.Generation)
	}
}

func (l *Live) observe(state State) {
	if l.cfg.Observer != nil {
		l.cfg.Observer.SettingsChanged(state)
	}
}
