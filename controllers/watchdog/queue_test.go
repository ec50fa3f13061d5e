package watchdog

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// The names of the metric and its labels belong to controller-runtime, so its own queue fills them in.
func TestQueueDepthReadsTheQueueOfControllerRuntime(t *testing.T) {
	depth := QueueDepth(metrics.Registry, "microservice")
	if got := depth(); got != 0 {
		t.Fatalf("depth = %d before there is a queue, want 0", got)
	}
	queue := priorityqueue.New[string]("microservice")
	t.Cleanup(queue.ShutDown)
	other := priorityqueue.New[string]("microservice-other")
	t.Cleanup(other.ShutDown)
	high, low := 100, -100
	queue.AddWithOpts(priorityqueue.AddOpts{Priority: &high}, "a", "b")
	queue.AddWithOpts(priorityqueue.AddOpts{Priority: &low}, "c")
	other.Add("d")
	// A queue takes in what was added when it is first asked for something.
	item, _, _ := queue.GetWithPriority()
	if got := depth(); got != 2 {
		t.Errorf("depth = %d with two of three left, want 2", got)
	}
	queue.Done(item)
	for range 2 {
		item, _, _ := queue.GetWithPriority()
		queue.Done(item)
	}
	if got := depth(); got != 0 {
		t.Errorf("depth = %d of an empty queue, want 0", got)
	}
}

func TestQueueDepthIsZeroIfItCannotBeRead(t *testing.T) {
	broken := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("broken") })
	if got := QueueDepth(broken, "microservice")(); got != 0 {
		t.Errorf("depth = %d, want 0", got)
	}
}
