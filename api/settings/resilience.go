package settings

import (
	"regexp"
	"time"
)

// Resilience is how the service keeps answering while something that it needs does not, or while more is asked of it than it can
// do.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requestTimeout) || !has(self.database) || !has(self.database.timeout) || duration(self.database.timeout) <= duration(self.requestTimeout)",message="database.timeout must not be longer than requestTimeout"
type Resilience struct {
	// requestTimeout is what a request may take, 100ms to 5m. Default: 5s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('5m')",message="must be from 100ms to 5m"
	RequestTimeout *Duration `json:"requestTimeout,omitempty"`
	// database protects the statements, those that read and those that write each with a breaker of their own.
	// +optional
	Database *Protection `json:"database,omitempty"`
	// upstreams protect the calls to other services, by the names under which this one knows them. Default: as for the database, but
	// at most 100 calls at once.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Upstreams []Upstream `json:"upstreams,omitempty"`
	// retryBudget is how many calls in a hundred may be made again, 0 to 100. It keeps retries from multiplying the load on what is
	// in trouble already. Default: 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	RetryBudget *int32 `json:"retryBudget,omitempty"`
	// shedding is when requests are refused because there are too many.
	// +optional
	Shedding *Shedding `json:"shedding,omitempty"`
}

// Protection is how the calls to one dependency are protected.
type Protection struct {
	// timeout is what one attempt may take, 10ms to 1m. Default: 2s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10ms') && duration(self) <= duration('1m')",message="must be from 10ms to 1m"
	Timeout *Duration `json:"timeout,omitempty"`
	// retries is how often a call is made again at most, if that can do no harm, 0 to 5. Default: 2.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=5
	Retries *int32 `json:"retries,omitempty"`
	// breaker is when calls are no longer tried.
	// +optional
	Breaker *Breaker `json:"breaker,omitempty"`
	// bulkhead is how many calls are made at once.
	// +optional
	Bulkhead *Bulkhead `json:"bulkhead,omitempty"`
}

// Breaker is when calls are no longer tried. Only what keeps the dependency from answering counts as a failure, never an answer.
type Breaker struct {
	// failurePercent of the calls in the window opens it, 1 to 100. Default: 50.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	FailurePercent *int32 `json:"failurePercent,omitempty"`
	// minimumCalls is how many calls the window must hold before their share counts, 1 to 10000. As many failures in a row open it as
	// well. Default: 5.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MinimumCalls *int32 `json:"minimumCalls,omitempty"`
	// window over which calls are counted, 1s to 10m. Default: 10s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be from 1s to 10m"
	Window *Duration `json:"window,omitempty"`
	// openFor is how long nothing is tried once it is open, 100ms to 5m. Then a few calls are let through, and all are if those go
	// well. Default: 1s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('5m')",message="must be from 100ms to 5m"
	OpenFor *Duration `json:"openFor,omitempty"`
}

// Bulkhead is how many calls are made at once.
type Bulkhead struct {
	// concurrency is how many, 1 to 10000; to the database never more than the pool has connections, which is also the default there.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Concurrency *int32 `json:"concurrency,omitempty"`
	// wait is how long a call waits for its turn before it is refused, 0s to 1m. Default: 1s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('1m')",message="must be from 0s to 1m"
	Wait *Duration `json:"wait,omitempty"`
}

// Upstream protects the calls to one other service.
type Upstream struct {
	// name under which this service knows the other one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="must be lower-case letters, digits and hyphens, such as dictionary"
	Name       string `json:"name"`
	Protection `json:",inline"`
}

// Shedding is when requests are refused because there are too many.
type Shedding struct {
	// maxInFlight is how many requests one pod serves at once, 1 to 100000; further ones are answered with 503 at once. Default: 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxInFlight *int32 `json:"maxInFlight,omitempty"`
}

func defaultResilience() *Resilience {
	return &Resilience{
		RequestTimeout: pointer(Duration(5 * time.Second)),
		Database:       defaultProtection(),
		RetryBudget:    pointer(int32(10)),
		Shedding:       &Shedding{MaxInFlight: pointer(int32(1000))},
	}
}

func defaultProtection() *Protection {
	return &Protection{
		Timeout: pointer(Duration(2 * time.Second)),
		Retries: pointer(int32(2)),
		Breaker: &Breaker{
			FailurePercent: pointer(int32(50)), MinimumCalls: pointer(int32(5)),
			Window: pointer(Duration(10 * time.Second)), OpenFor: pointer(Duration(time.Second)),
		},
		Bulkhead: &Bulkhead{Wait: pointer(Duration(time.Second))},
	}
}

// upstreamConcurrency is how many calls to an upstream are made at once where nothing else is said.
const upstreamConcurrency = 100

// UpstreamOf returns how the calls to an upstream are protected, defaults included.
func (r *Resilience) UpstreamOf(name string) Protection {
	protection := *defaultProtection()
	protection.Bulkhead.Concurrency = pointer(int32(upstreamConcurrency))
	if r == nil {
		return protection
	}
	for _, u := range r.Upstreams {
		if u.Name == name {
			return mergeValues(protection, u.Protection)
		}
	}
	return protection
}

var upstreamForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func (r *Resilience) validate(p place) {
	if r == nil {
		return
	}
	p.field("requestTimeout").duration(r.RequestTimeout, Duration(100*time.Millisecond), Duration(5*time.Minute))
	r.Database.validate(p.field("database"))
	p.field("database.timeout").demand(
		r.RequestTimeout == nil || r.Database == nil || r.Database.Timeout == nil || *r.Database.Timeout <= *r.RequestTimeout,
		"must not be longer than requestTimeout")
	p.field("upstreams").length(len(r.Upstreams), 16)
	seen := map[string]bool{}
	for i, u := range r.Upstreams {
		at := p.field("upstreams").item(i)
		at.field("name").demand(len(u.Name) <= 63 && upstreamForm.MatchString(u.Name),
			"must be 1 to 63 lower-case letters, digits and hyphens, such as dictionary")
		at.field("name").demand(!seen[u.Name], "must not be given twice")
		seen[u.Name] = true
		u.validate(at)
	}
	p.field("retryBudget").number(r.RetryBudget, 0, 100)
	if r.Shedding != nil {
		p.field("shedding.maxInFlight").number(r.Shedding.MaxInFlight, 1, 100_000)
	}
}

func (x *Protection) validate(p place) {
	if x == nil {
		return
	}
	p.field("timeout").duration(x.Timeout, Duration(10*time.Millisecond), Duration(time.Minute))
	p.field("retries").number(x.Retries, 0, 5)
	if b := x.Breaker; b != nil {
		at := p.field("breaker")
		at.field("failurePercent").number(b.FailurePercent, 1, 100)
		at.field("minimumCalls").number(b.MinimumCalls, 1, 10_000)
		at.field("window").duration(b.Window, Duration(time.Second), Duration(10*time.Minute))
		at.field("openFor").duration(b.OpenFor, Duration(100*time.Millisecond), Duration(5*time.Minute))
	}
	if b := x.Bulkhead; b != nil {
		p.field("bulkhead.concurrency").number(b.Concurrency, 1, 10_000)
		p.field("bulkhead.wait").duration(b.Wait, 0, Duration(time.Minute))
	}
}
