// Package telemetry owns the operator's own metrics, what it measures, under which names, and how many series there may be, and the
// traces of releases.
//
// There are two kinds. What happens is counted once, by the one who did it, after it was stored: nobody else can have stored it as
// well, so that neither a restart nor a second replica counts it again. What is so is gathered from the cache when the metrics
// are asked for, and only where this process leads. Nothing is read from the API server, nothing is written anywhere, and what
// belongs to a Microservice goes with it. docs/observability.md says what each metric means.
package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

// Options are what a Recorder is told about the operator.
type Options struct {
	// Version of the operator.
	Version string
	// MaxRollouts is how many rollouts may be under way at once.
	MaxRollouts int
	// Tracer sends the way of each release, nil for nowhere.
	Tracer *Tracer
}

// Recorder keeps the operator's metrics. It is a prometheus.Collector, and safe for concurrent use; a nil Recorder measures
// nothing.
type Recorder struct {
	options Options
	events  events
	names   names

	mu sync.Mutex
	// reader and leads are set by Watch.
	reader client.Reader
	leads  <-chan struct{}
	// figures of the Microservices of which something has happened since the process began.
	figures map[types.NamespacedName]*figures
	// told is since when pods are to take their settings.
	told map[gate.Place]map[types.UID]time.Time
}

// New returns a Recorder that has measured nothing.
func New(options Options) *Recorder {
	return &Recorder{
		options: options,
		events:  newEvents(),
		names:   names{known: map[string]bool{}},
		figures: map[types.NamespacedName]*figures{},
		told:    map[gate.Place]map[types.UID]time.Time{},
	}
}

// Watch lets the Recorder read Microservices from a cache once leads is closed, which says that this process leads and that its
// caches are filled.
func (r *Recorder) Watch(reader client.Reader, leads <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reader, r.leads = reader, leads
}

// Describe implements prometheus.Collector.
func (r *Recorder) Describe(out chan<- *prometheus.Desc) {
	r.events.describe(out)
	for _, desc := range states {
		out <- desc
	}
}

// gatherTimeout bounds reading from the cache, which takes microseconds unless it is not filled yet.
const gatherTimeout = time.Second

// Collect implements prometheus.Collector.
func (r *Recorder) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(infoDesc, prometheus.GaugeValue, 1, r.options.Version)
	leads := r.isLeading()
	out <- prometheus.MustNewConstMetric(leadingDesc, prometheus.GaugeValue, number(leads))
	if leads {
		r.collectMicroservices(out)
	}
	r.events.collect(out)
}

func (r *Recorder) collectMicroservices(out chan<- prometheus.Metric) {
	microservices, err := r.microservices()
	if err != nil {
		return // the caches are not filled yet; the next answer has it
	}
	for _, environment := range r.environments(microservices) {
		r.events.prepare(environment)
	}
	r.collectStates(out, microservices)
	r.collectFigures(out, microservices)
}

func (r *Recorder) isLeading() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.leads: // never, while it is nil
		return true
	default:
		return false
	}
}

// microservices lists them from the cache. What cannot be listed now is left out of this answer, and is there in the next.
func (r *Recorder) microservices() ([]v1alpha1.Microservice, error) {
	r.mu.Lock()
	reader := r.reader
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	list := &v1alpha1.MicroserviceList{}
	// Nothing of it is changed, and with many Microservices the copies would be the larger part of the work.
	if err := reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the Microservices: %w", err)
	}
	return list.Items, nil
}

// environments are the names under which the environments of all Microservices are measured, each once.
func (r *Recorder) environments(microservices []v1alpha1.Microservice) []string {
	seen := map[string]bool{}
	var out []string
	for i := range microservices {
		for _, environment := range microservices[i].Spec.Environments {
			if name := r.names.of(environment.Name); !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

// maxNames is how many names of environments have series of their own. Teams that agree on names have fewer than ten.
const maxNames = 20

// otherName stands for all further ones.
const otherName = "other"

// names bounds the label environment where a metric is not of a single Microservice: the names are its users' choice, and each
// takes more than two hundred series.
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

// of returns the name, or otherName if there are too many already.
func (n *names) of(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.known[name] {
		if len(n.known) >= maxNames {
			return otherName
		}
		n.known[name] = true
	}
	return name
}
