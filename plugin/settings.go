package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/screen"
)

func settingsCommand(s *session) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:     "settings NAME [ENVIRONMENT]",
		Short:   "Which settings each pod is told to run with, and which refuse",
		GroupID: groupWatch,
		Args:    between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			c, err := s.connect()
			if err != nil {
				return err
			}
			ms, err := c.microservice(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(args) > 1 && !has(ms, args[1]) {
				return noEnvironment(ms, args[1])
			}
			var rows []screen.PodSettings
			for _, e := range ms.Status.Environments {
				if len(args) > 1 && e.Name != args[1] {
					continue
				}
				found, err := c.podSettings(cmd.Context(), ms, e)
				if err != nil {
					return err
				}
				rows = append(rows, found...)
			}
			if out.isData() {
				return s.data(out, rows)
			}
			return s.say(screen.Settings(rows))
		},
	}
	out.bind(cmd, formatText, formatJSON, formatYAML)
	return cmd
}

// podSettings reads what the pods of an environment are told, beside what the operator has heard of them.
func (c *cluster) podSettings(ctx context.Context, ms *v1alpha1.Microservice, e v1alpha1.EnvironmentStatus) ([]screen.PodSettings, error) {
	pods, err := c.pods(ctx, ms, e, "api", "canary")
	if err != nil {
		return nil, err
	}
	refused := map[string]string{}
	if e.Settings != nil {
		for _, rejection := range e.Settings.Rejected {
			refused[rejection.Pod] = rejection.Reason
		}
	}
	var out []screen.PodSettings
	for _, pod := range pods {
		out = append(out, screen.PodSettings{
			Environment: e.Name, Pod: pod.Name, Generation: pod.Annotations[contract.SettingsGenerationAnnotation],
			Ready: isReady(pod), Refused: refused[pod.Name],
		})
	}
	return out, nil
}

// pods are those of an environment that play one of the parts, sorted by name.
func (c *cluster) pods(ctx context.Context, ms *v1alpha1.Microservice, e v1alpha1.EnvironmentStatus, components ...string) ([]corev1.Pod, error) {
	var out []corev1.Pod
	for _, component := range components {
		list := &corev1.PodList{}
		err := c.List(ctx, list, client.InNamespace(e.Namespace), client.MatchingLabels{
			v1alpha1.LabelMicroservice: ms.Name, v1alpha1.LabelMicroserviceNamespace: ms.Namespace, v1alpha1.LabelEnvironment: e.Name,
			"app.kubernetes.io/component": component,
		})
		if err != nil {
			return nil, fmt.Errorf("reading the pods in %s: %w", e.Namespace, err)
		}
		out = append(out, list.Items...)
	}
	return out, nil
}

func isReady(pod corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
