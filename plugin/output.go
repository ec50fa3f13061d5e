package plugin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// The formats of -o.
const (
	formatText = "text"
	formatWide = "wide"
	formatJSON = "json"
	formatYAML = "yaml"
)

// output is the flag -o of one command.
type output struct {
	format  string
	allowed []string
}

// bind declares -o with the formats that the command has; the first is the default.
func (o *output) bind(cmd *cobra.Command, formats ...string) {
	o.allowed = formats
	cmd.Flags().StringVarP(&o.format, "output", "o", formats[0], "one of "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // the flag was declared above
}

func (o *output) validate() error {
	if slices.Contains(o.allowed, o.format) {
		return nil
	}
	return usage("-o %s is not possible; use one of %s", o.format, strings.Join(o.allowed, ", "))
}

// isData reports whether a program reads the output.
func (o *output) isData() bool { return o.format == formatJSON || o.format == formatYAML }

// data writes a value for programs.
func (s *session) data(o output, value any) error {
	encoded, err := json.MarshalIndent(value, "", "  ")
	if o.format == formatYAML && err == nil {
		encoded, err = yaml.JSONToYAML(encoded)
	}
	if err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	_, err = fmt.Fprintln(s.streams.Out, strings.TrimSuffix(string(encoded), "\n"))
	return err
}

// say writes text for people.
func (s *session) say(text string) error {
	_, err := fmt.Fprint(s.streams.Out, text)
	return err
}
