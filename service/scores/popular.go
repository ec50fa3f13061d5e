package scores

import (
	"context"
	"sync"
	"time"
)

// Popular implements Service.
func (l *Library) Popular(ctx context.Context, limit int) ([]Card, error) {
	return l.repo.Popular(ctx, limit)
}

// maxCounted is of how many scores the reads are counted between two flushes; those of further ones are not.
const maxCounted = 4096

// reads counts reads in memory, since a write for each read would cost more than the read.
type reads struct {
	mu     sync.Mutex
	counts map[string]int64
	// owners are those of scores that were read, as many as fit.
	owners map[string]string
}

// own remembers whose a score is.
func (r *reads) own(id, owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners == nil || len(r.owners) >= maxCounted {
		r.owners = map[string]string{}
	}
	r.owners[id] = owner
}

func (r *reads) ownerOf(id string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	owner, ok := r.owners[id]
	return owner, ok
}

func (r *reads) add(id string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.counts[id]; !ok && len(r.counts) >= maxCounted {
		return
	}
	if r.counts == nil {
		r.counts = map[string]int64{}
	}
	r.counts[id] += n
}

// take returns what was counted and begins anew.
func (r *reads) take() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.counts
	r.counts = nil
	return taken
}

// flushTimeout bounds one flush.
const flushTimeout = 5 * time.Second

// CountReads writes down at each interval how often scores were read, until ctx ends and then once more. What could not be
// written is tried again with the next flush; failed is told why. Call it once.
func (l *Library) CountReads(ctx context.Context, interval time.Duration, failed func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ended = true
		}
		l.flushReads(context.WithoutCancel(ctx), failed)
	}
}

func (l *Library) flushReads(ctx context.Context, failed func(error)) {
	taken := l.reads.take()
	if len(taken) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := l.repo.AddReads(ctx, taken); err != nil {
		for id, n := range taken {
			l.reads.add(id, n)
		}
		failed(err)
	}
}
