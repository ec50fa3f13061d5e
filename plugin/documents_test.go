package plugin

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/test/documents"
)

// accept holds a command line to what the plugin takes.
func accept(args []string) error {
	root := command(&session{})
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd == root {
		return errors.New("there is no such command")
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// TestRunbooksNameCommandsThatThereAre: somebody types them at three in the morning, out of sentences too.
func TestRunbooksNameCommandsThatThereAre(t *testing.T) {
	pages, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no runbooks: %v", err)
	}
	line := regexp.MustCompile("kubectl mirubato ([^`\n]+)")
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range line.FindAllStringSubmatch(string(text), -1) {
			found++
			if err := accept(strings.Fields(match[1])); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), match[0], err)
			}
		}
	}
	if found == 0 {
		t.Error("the runbooks name no command")
	}
}

// TestDocumentedCommands holds those of kubectl to the real one, and those of the plugin to this one.
func TestDocumentedCommands(t *testing.T) {
	commands, err := documents.Commands("..")
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs []documents.Command
	for _, c := range commands {
		switch {
		case c.Begins("kubectl", "mirubato"):
			ours = append(ours, c)
		case c.Begins("kubectl"):
			theirs = append(theirs, c)
		}
	}
	if len(ours) == 0 || len(theirs) == 0 {
		t.Fatalf("the documents have %d commands of the plugin and %d of kubectl", len(ours), len(theirs))
	}
	for _, c := range ours {
		if err := accept(c.Args()[1:]); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	known := map[string]bool{} // most are typed in several places
	for _, c := range theirs {
		line := strings.Join(c.Args(), " ")
		if known[line] {
			continue
		}
		known[line] = true
		checkKubectl(t, c)
	}
}

// checkKubectl lets kubectl read the command line and tell about the command instead of carrying it out, which it does only if it knows
// verb and flags. Kinds and what is read from the standard input are held to what there is.
func checkKubectl(t *testing.T, c documents.Command) {
	t.Helper()
	args, inside := c.Args(), []string(nil)
	if i := slices.Index(args, "--"); i >= 0 {
		args, inside = args[:i], args[i+1:]
	}
	help := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), append(slices.Clone(args), "--help")...)
	help.Env = append(os.Environ(), "KUBECONFIG="+os.DevNull)
	output, err := help.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "Usage:") {
		t.Errorf("%s: %v\n%s", c, err, output)
		return
	}
	if strings.HasPrefix(string(output), "kubectl controls the Kubernetes cluster manager") {
		t.Errorf("%s: kubectl has no such command", c)
	}
	if len(inside) > 0 && inside[0] == "plugin" { // of the operator's image, which is this one
		if err := accept(inside[1:]); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	if c.Input != "" {
		if err := yaml.UnmarshalStrict([]byte(c.Input), &v1alpha1.Approval{}); err != nil {
			t.Errorf("%s: the object: %v", c, err)
		}
	}
	for _, kind := range kindsOf(args) {
		if !slices.Contains(kinds, kind) {
			t.Errorf("%s: %s is no kind that a cluster with Mirubato has", c, kind)
		}
	}
}

// kinds as people name them.
var kinds = []string{
	"all", "configmaps", "crd", "deployments", "hpa", "jobs", "lease", "leases", "namespaces", "nodes", "pods", "secret", "secrets",
	"microservice", "microservices", "release", "releases", "approvals",
}

// kindsOf are those that a command is about.
func kindsOf(args []string) []string {
	flags := &cobra.Command{FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}}
	flags.Flags().StringP("namespace", "n", "", "")
	flags.Flags().StringP("selector", "l", "", "")
	flags.Flags().StringP("output", "o", "", "")
	flags.Flags().BoolP("all-namespaces", "A", false, "")
	flags.Flags().Bool("overwrite", false, "")
	flags.Flags().Bool("all", false, "")
	flags.Flags().String("context", "", "")
	if err := flags.ParseFlags(args); err != nil {
		return nil
	}
	words := flags.Flags().Args()
	if len(words) < 2 || !slices.Contains([]string{"get", "describe", "delete", "annotate"}, words[0]) {
		return nil
	}
	return strings.Split(words[1], ",")
}
