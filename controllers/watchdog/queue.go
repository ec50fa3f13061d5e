package watchdog

import (
	"github.com/prometheus/client_golang/prometheus"
)

// QueueDepth returns a function that reads the length of a controller's queue from the metrics that controller-runtime
// keeps, which is the only place where it can be read. It tells 0 for a queue that is not there, as on a process that
// does not lead.
func QueueDepth(gatherer prometheus.Gatherer, controller string) func() int {
	return func() int {
		families, err := gatherer.Gather()
		if err != nil {
			return 0
		}
		depth := 0.0
		for _, family := range families {
			if family.GetName() != "workqueue_depth" {
				continue
			}
			for _, metric := range family.GetMetric() {
				for _, label := range metric.GetLabel() {
					if label.GetName() == "controller" && label.GetValue() == controller {
						depth += metric.GetGauge().GetValue() // one series for each priority
					}
				}
			}
		}
		return int(depth)
	}
}
