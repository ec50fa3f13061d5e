package incluster

import "sync"

const (
	// maxPages may be open at once, and maxPagesEach of one person.
	maxPages, maxPagesEach = 64, 8
)

// places counts the pages that are open.
type places struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

func newPlaces() *places { return &places{of: map[string]int{}} }

// take takes a place for somebody. If there is none, it says why, and nothing is to be given back.
func (p *places) take(who string) (giveBack func(), problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.of[who] >= maxPagesEach:
		return nil, "You have too many pages of the dashboard open. Close one."
	case p.all >= maxPages:
		return nil, "Too many people look at the dashboard now. It is tried again by itself."
	}
	p.all++
	p.of[who]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.of[who]--; p.of[who] == 0 {
			delete(p.of, who)
		}
	}, ""
}
