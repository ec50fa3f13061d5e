package change

import (
	"fmt"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func weight(step v1alpha1.RolloutStep) string {
	text := fmt.Sprintf("%d%%", step.Weight)
	if step.Hold != nil && step.Hold.Duration > 0 {
		text += " for " + step.Hold.Duration.String()
	}
	if step.Pause {
		text += " until somebody resumes"
	}
	return text
}

func durationOf(rollout v1alpha1.RolloutSpec) string {
	if rollout.Soak == nil {
		return ""
	}
	return rollout.Soak.Duration.String()
}
