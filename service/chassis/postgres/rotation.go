package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// lookEvery is how long a changed URL may go unnoticed by connections that are in use.
const lookEvery = time.Second

// target is where connections lead, and how long their statements may take.
type target struct {
	url     string
	timeout time.Duration
	made    *pq.Connector
}

// rotation is which URL is in force. A changed one comes into force once it has led to a connection; those of the one before are
// then given up between two statements. One that the server refuses, or that cannot be read, leaves the one before in force, so
// that it does not matter whether the file or the database hears of a new password first.
type rotation struct {
	logger *slog.Logger
	// closeIdle closes connections that nobody uses.
	closeIdle func()
	looked    atomic.Int64
	trying    sync.Mutex

	mu sync.Mutex
	// inForce is nil until there was a connection.
	inForce *target
	// changed is closed when another URL comes into force.
	changed chan struct{}
	// told is what was logged last.
	told string
}

// present is the target in force, nil if there was no connection yet, and a channel that is closed once another URL is.
func (r *rotation) present() (*target, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.inForce, r.changed
}

// take brings a target into force that has led to a connection.
func (r *rotation) take(t *target) {
	r.mu.Lock()
	other := r.inForce != nil && r.inForce.url != t.url
	r.inForce, r.told = t, ""
	if other && r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	r.mu.Unlock()
	if other {
		r.logger.Info("Connecting with another database URL")
		r.closeIdle()
	}
}

// isOutdated reports whether a connection that was made with a URL is to be given up.
func (r *rotation) isOutdated(url string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inForce != nil && r.inForce.url != url
}

// instead is what to connect to if wanted, which is nil if there is no such, failed with err; nil if that is all there is.
func (r *rotation) instead(wanted *target, err error) *target {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inForce == nil || wanted != nil && (r.inForce.url == wanted.url || !isRefusal(err)) {
		return nil
	}
	if r.told != err.Error() {
		r.told = err.Error()
		r.logger.Error("Keeping the database URL", "error", r.told)
	}
	return r.inForce
}

// isRefusal reports whether the server is there and lets nobody in with these credentials, or knows no such database.
func isRefusal(err error) bool {
	found := pq.As(err)
	return found != nil && (found.Code.Class() == pqerror.ClassInvalidAuthorizationSpecification || found.Code == pqerror.InvalidCatalogName)
}

// look finds out, at most every lookEvery, whether the URL has changed, and tries the new one without keeping anybody waiting.
func (c *connector) look() {
	now := time.Now().UnixNano()
	last := c.rotation.looked.Load()
	if now-last < int64(lookEvery) || !c.rotation.looked.CompareAndSwap(last, now) {
		return
	}
	wanted, err := c.current()
	if err != nil {
		c.rotation.instead(nil, err)
		return
	}
	if !c.rotation.isOutdated(wanted.url) || !c.rotation.trying.TryLock() {
		return
	}
	go func() {
		defer c.rotation.trying.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		conn, err := wanted.made.Connect(ctx)
		if err != nil {
			c.rotation.instead(wanted, err)
			return
		}
		_ = conn.Close()
		c.adopt(wanted)
	}()
}

// adopt takes what has led to a connection, unless the URL has changed while it was made.
func (c *connector) adopt(t *target) {
	c.mu.Lock()
	isLast := c.last == t
	c.mu.Unlock()
	if isLast {
		c.rotation.take(t)
	}
}

// open returns a connection to the URL of the moment, or to the one in force if that one is no good.
func (c *connector) open(ctx context.Context) (pqConn, *target, error) {
	wanted, err := c.current()
	if err == nil {
		var conn pqConn
		if conn, err = wanted.connect(ctx); err == nil {
			c.adopt(wanted)
			return conn, wanted, nil
		}
	}
	before := c.rotation.instead(wanted, err)
	if before == nil {
		return nil, nil, err
	}
	conn, err := before.connect(ctx)
	return conn, before, err
}

func (t *target) connect(ctx context.Context) (pqConn, error) {
	conn, err := t.made.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	full, ok := conn.(pqConn)
	if !ok {
		return nil, errors.Join(errors.New("connecting: the driver lacks methods"), conn.Close())
	}
	return full, nil
}
