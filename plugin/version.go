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
	var alone bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "The versions of this plugin and of the operator, and whether they go together",
		Long: `The versions of this plugin and of the operator. They go together if they have the same major version and their minor
versions differ by at most one; before 1.0, if their minor versions are the same or the plugin's is one behind or ahead.
The plugin's is told even if the cluster cannot be reached.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			found := versions{Plugin: s.version}
			var missing error
			if !alone {
				found, missing = s.versions(cmd.Context())
			}
			if err := s.tellVersions(out, found); err != nil {
				return err
			}
			return missing
		},
	}
	out.bind(cmd, formatText, formatJSON, formatYAML)
	cmd.Flags().BoolVar(&alone, "client", false, "only that of the plugin, without asking the cluster")
	return cmd
}

// versions are those of the plugin and of the operator, if the cluster can be asked.
func (s *session) versions(ctx context.Context) (versions, error) {
	c, err := s.connect()
	if err != nil {
		return versions{Plugin: s.version}, err
	}
	return c.versions(ctx, s.version)
}

func (s *session) tellVersions(out output, found versions) error {
	if out.isData() {
		return s.data(out, found)
	}
	text := "plugin    " + found.Plugin + "\n"
	if found.Operator != "" {
		text += "operator  " + found.Operator + "\n"
	}
	if found.Skew != "" {
		text += found.Skew + "\n"
	}
	return s.say(text)
}

// versions are those of plugin and operator.
type versions struct {
	Plugin string `json:"plugin"`
	// Operator is empty if it was not asked for, or could not be.
	Operator string `json:"operator,omitempty"`
	// Skew is what is wrong with using them together; empty if nothing is, or if one of them is not known.
	Skew string `json:"skew,omitempty"`
}

// operatorNamespace is where config/default and the chart install the operator.
const operatorNamespace = "mirubato-system"

// versions returns that of the plugin, which is its own, also with an error.
func (c *cluster) versions(ctx context.Context, own string) (versions, error) {
	out := versions{Plugin: own}
	list := &appsv1.DeploymentList{}
	if err := c.List(ctx, list, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/name": "mirubato-operator"}); err != nil {
		return out, fmt.Errorf("reading the operator's Deployment in %s: %w", operatorNamespace, err)
	}
	out.Operator = "not installed in " + operatorNamespace
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
