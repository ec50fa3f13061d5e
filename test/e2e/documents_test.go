//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/test/documents"
)

// TestDocumentedHelmCommands lets the real Helm read each command line and tell about the command instead of carrying it out, which it
// does only if it knows verb and flags. What the commands do is shown by the scenarios.
func TestDocumentedHelmCommands(t *testing.T) {
	commands, err := documents.Commands(suite.root)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range commands {
		if !c.Begins("helm") {
			continue
		}
		found++
		output, err := suite.tools.run(t.Context(), "helm", append(slices.Clone(c.Args()), "--help")...)
		if err != nil || strings.HasPrefix(output, "The Kubernetes package manager") {
			t.Errorf("%s: %v", c, err)
		}
	}
	if found == 0 {
		t.Error("the documents have no command of Helm")
	}
}
