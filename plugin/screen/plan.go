package screen

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mirubato/mirubato/plugin/change"
)

// Changes shows what differs, a line each.
func Changes(from, to string, changes []change.Change) string {
	if len(changes) == 0 {
		return fmt.Sprintf("%s and %s have the same content.\n", from, to)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "From %s to %s:\n", from, to)
	for _, c := range changes {
		fmt.Fprintf(&out, "  %s\n", line(c))
	}
	return out.String()
}

func line(c change.Change) string {
	switch {
	case c.From == nil:
		return fmt.Sprintf("+ %s: %s", c.Path, short(c.To))
	case c.To == nil:
		return fmt.Sprintf("- %s: %s", c.Path, short(c.From))
	}
	return fmt.Sprintf("~ %s: %s -> %s", c.Path, short(c.From), short(c.To))
}

// longest value, in characters, that is shown whole.
const longest = 120

func short(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	if text := []rune(string(encoded)); len(text) > longest {
		return string(text[:longest]) + "..."
	}
	return string(encoded)
}

// does tells what a cost means in a sentence.
var does = map[change.Cost]string{
	change.CostNone:    "nothing that runs is touched",
	change.CostRoute:   "requests are routed anew, no pod is touched",
	change.CostScale:   "pods are added or taken away, none is replaced",
	change.CostLive:    "running pods take the settings, none is replaced",
	change.CostRestart: "pods are REPLACED",
	change.CostMigrate: "migrations RUN, then pods are REPLACED",
	change.CostMove:    "everything is made anew in its namespace",
	change.CostRemove:  "everything that was made is REMOVED",
}

// Plan shows what a changed Microservice would do.
func Plan(name string, plan change.Plan) string {
	if len(plan.Changes) == 0 {
		return fmt.Sprintf("%s: nothing changes.\n", name)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %d fields change:\n", name, len(plan.Changes))
	for _, c := range plan.Changes {
		fmt.Fprintf(&out, "  %s\n", line(c))
	}
	if plan.Release {
		out.WriteString("\nA release is cut and passes:\n")
	} else {
		out.WriteString("\nNo release is cut.\n")
	}
	for _, e := range plan.Environments {
		fmt.Fprintf(&out, "\n%s: %s\n", e.Name, does[e.Cost])
		if len(e.Gates) > 0 {
			fmt.Fprintf(&out, "  gates: %s\n", strings.Join(e.Gates, ", "))
		}
	}
	return out.String()
}
