package plugin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func versionCommand(s *session) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "The versions of this plugin and of the operator, and whether they go together",
		Long: `The versions of this plugin and of the operator. They go together if they have the same major version and their minor
versions differ by at most one; before 1.0, if their minor versions are the same or the plugin's is one behind or ahead.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			c, err := s.connect()
			if err != nil {
				return err
			}
			versions, err := c.versions(cmd.Context(), s.version)
			if err != nil {
				return err
			}
			if out.isData() {
				return s.data(out, versions)
			}
			text := fmt.Sprintf("plugin    %s\noperator  %s\n", versions.Plugin, versions.Operator)
			if versions.Skew != "" {
				text += versions.Skew + "\n"
			}
			return s.say(text)
		},
	}
	out.bind(cmd, formatText, formatJSON, formatYAML)
	return cmd
}

// versions are those of plugin and operator.
type versions struct {
	Plugin   string `json:"plugin"`
	Operator string `json:"operator"`
	// Skew is what is wrong with using them together; empty if nothing is, or if one of them is not known.
	Skew string `json:"skew,omitempty"`
}

// operatorNamespace is where config/default and the chart install the operator.
const operatorNamespace = "mirubato-system"

func (c *cluster) versions(ctx context.Context, own string) (versions, error) {
	list := &appsv1.DeploymentList{}
	if err := c.List(ctx, list, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/name": "mirubato-operator"}); err != nil {
		return versions{}, fmt.Errorf("reading the operator's Deployment in %s: %w", operatorNamespace, err)
	}
	out := versions{Plugin: own, Operator: "not installed in " + operatorNamespace}
	if len(list.Items) > 0 {
		image := list.Items[0].Spec.Template.Spec.Containers[0].Image
		_, out.Operator, _ = strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
		out.Skew = skew(out.Plugin, out.Operator)
	}
	return out, nil
}

// skew is empty for versions that go together, and for those that are no versions.
func skew(plugin, operator string) string {
	mine, ok := parse(plugin)
	theirs, okToo := parse(operator)
	if !ok || !okToo || mine[0] == theirs[0] && max(mine[1]-theirs[1], theirs[1]-mine[1]) <= 1 {
		return ""
	}
	return fmt.Sprintf("These do not go together: use a plugin of version %d.%d", theirs[0], theirs[1])
}

// parse reads major and minor.
func parse(version string) (parsed [2]int, ok bool) {
	fields := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(fields) < 2 {
		return parsed, false
	}
	for i := range parsed {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return parsed, false
		}
		parsed[i] = n
	}
	return parsed, true
}
