package screen

// PodSettings is which settings one pod is told to run with.
type PodSettings struct {
	Environment string `json:"environment"`
	Pod         string `json:"pod"`
	// Generation that the pod is told to run with; empty if it follows the current one.
	Generation string `json:"generation,omitempty"`
	Ready      bool   `json:"ready"`
	// Refused is why the pod does not take them, in its own words.
	Refused string `json:"refused,omitempty"`
}

// Settings shows a line a pod.
func Settings(pods []PodSettings) string {
	if len(pods) == 0 {
		return "There are no pods yet.\n"
	}
	t := newTable("ENVIRONMENT", "POD", "READY", "GENERATION", "REFUSED BECAUSE")
	for _, p := range pods {
		ready, generation := "no", p.Generation
		if p.Ready {
			ready = "yes"
		}
		if generation == "" {
			generation = "current"
		}
		t.row(p.Environment, p.Pod, ready, generation, p.Refused)
	}
	return t.String()
}
