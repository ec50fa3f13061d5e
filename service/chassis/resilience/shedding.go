package resilience

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// ErrOverloaded is the cause of a request's being shed.
var ErrOverloaded = errors.New("as many requests as may be served at once are being served")

// Shedding refuses requests while too many are being served: a few answered in time are worth more than all answered
// late. Probes are always let through, since a pod that is taken away for being busy leaves its load to the others. It
// may be used by many goroutines.
type Shedding struct {
	most     func() int
	shed     func()
	inFlight atomic.Int64
}

// NewShedding returns shedding by a number of requests that is read for each one, and a function that counts those that
// were refused.
func NewShedding(most func() int, shed func()) *Shedding { return &Shedding{most: most, shed: shed} }

// Handler puts the limit before next. It belongs inside httpapi.Middleware, so that refusals are answered, logged and
// counted like everything else.
func (s *Shedding) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		defer s.inFlight.Add(-1)
		if s.inFlight.Add(1) > int64(s.most()) {
			s.shed()
			httpapi.WriteError(r.Context(), w, fault.Wrap(fault.Unavailable, "The service is busy; try again in a moment", ErrOverloaded))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isProbe(path string) bool {
	switch path {
	case contract.LivezPath, contract.ReadyzPath, contract.HealthPath:
		return true
	}
	return false
}
