package observability_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// prometheus is where alerts, dashboards and what is scraped are.
var prometheus = filepath.Join("..", "..", "config", "prometheus")

type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

type ruleGroups struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

func read(t testing.TB, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func glob(t testing.TB, parts ...string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(parts...))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no %s: %v", filepath.Join(parts...), err)
	}
	return files
}

// rules are those of all rule files.
func rules(t testing.TB) []rule {
	t.Helper()
	var out []rule
	for _, file := range glob(t, prometheus, "rules", "*.yaml") {
		var groups ruleGroups
		read(t, file, &groups)
		for _, group := range groups.Groups {
			out = append(out, group.Rules...)
		}
	}
	return out
}

// promtool runs it; it comes with the package prometheus, which make test installs.
func promtool(t testing.TB, input string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func TestRulesAreValid(t *testing.T) {
	if out, err := promtool(t, "", append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, glob(t, prometheus, "rules", "*.yaml")...)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAlertsFireAndAreQuiet runs testdata, and sees to it that it has a case of both for each alert.
func TestAlertsFireAndAreQuiet(t *testing.T) {
	files := glob(t, "testdata", "*_rules.yaml")
	if out, err := promtool(t, "", append([]string{"test", "rules"}, files...)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	fires, quiet, tested := map[string]bool{}, map[string]bool{}, ""
	for _, file := range files {
		var cases struct {
			Tests []struct {
				Alerts []struct {
					Alertname string `json:"alertname"`
					Expected  []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
				Expressions []struct{ Expr string } `json:"promql_expr_test"`
			}
		}
		read(t, file, &cases)
		for _, test := range cases.Tests {
			for _, alert := range test.Alerts {
				(map[bool]map[string]bool{true: fires, false: quiet})[len(alert.Expected) > 0][alert.Alertname] = true
			}
			for _, expression := range test.Expressions {
				tested += expression.Expr + "\n"
			}
		}
	}
	for _, r := range rules(t) {
		switch {
		case r.Alert != "" && !(fires[r.Alert] && quiet[r.Alert]):
			t.Errorf("%s: there is a case in which it fires: %t, and one in which it is quiet: %t", r.Alert, fires[r.Alert], quiet[r.Alert])
		case r.Record != "" && !strings.Contains(tested, r.Record):
			t.Errorf("%s: its value is not tested", r.Record)
		}
	}
}

// TestAlertsTellWhatToDo holds alerts, their runbooks and docs/observability.md together.
func TestAlertsTellWhatToDo(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	text, err := os.ReadFile(filepath.Join(docs, "observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \| \w`).FindAllStringSubmatch(string(text), -1) {
		if row[1] != row[2] {
			t.Errorf("the row of %s leads to %s", row[1], row[2])
		}
		documented[row[1]] = row[3]
	}
	want, pages := map[string]string{}, []string{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		want[r.Alert] = r.Labels["severity"]
		pages = append(pages, filepath.Join(docs, "runbooks", r.Alert+".md"))
		for _, annotation := range []string{"summary", "description"} {
			if r.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", r.Alert, annotation)
			}
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/runbooks/"+r.Alert+".md") {
			t.Errorf("%s leads to %q", r.Alert, r.Annotations["runbook_url"])
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s has severity %q", r.Alert, r.Labels["severity"])
		}
	}
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("alerts in docs/observability.md (-rules +docs):\n%s", diff)
	}
	slices.Sort(pages)
	if diff := cmp.Diff(pages, glob(t, docs, "runbooks", "*.md")); diff != "" {
		t.Errorf("runbooks (-wanted +there):\n%s", diff)
	}
	for _, page := range pages {
		checkRunbook(t, page, want[strings.TrimSuffix(filepath.Base(page), ".md")])
	}
}

func checkRunbook(t testing.TB, page, severity string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Error(err)
		return
	}
	name := strings.TrimSuffix(filepath.Base(page), ".md")
	for _, part := range []string{"# " + name + "\n", "Severity **" + severity + "**", "## What it means", "## Where to look", "## What to do"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s lacks %q", page, part)
		}
	}
}

// TestObjectsAreTheRuleFiles: make generate writes them.
func TestObjectsAreTheRuleFiles(t *testing.T) {
	for _, file := range glob(t, prometheus, "rules", "*.yaml") {
		var source ruleGroups
		read(t, file, &source)
		var object struct {
			Kind string
			Spec ruleGroups
		}
		read(t, filepath.Join(prometheus, strings.TrimSuffix(filepath.Base(file), ".yaml")+"_rules.yaml"), &object)
		if diff := cmp.Diff(source, object.Spec); diff != "" || object.Kind != "PrometheusRule" {
			t.Errorf("%s is of kind %s and differs; make generate writes it (-file +object):\n%s", file, object.Kind, diff)
		}
	}
}

// TestKustomizationHasEverything: what is forgotten there is installed by nobody.
func TestKustomizationHasEverything(t *testing.T) {
	var kustomization struct {
		Resources  []string
		Generators []struct{ Files []string } `json:"configMapGenerator"`
	}
	read(t, filepath.Join(prometheus, "kustomization.yaml"), &kustomization)
	got := kustomization.Resources
	for _, generator := range kustomization.Generators {
		got = append(got, generator.Files...)
	}
	var want []string
	for _, file := range append(glob(t, prometheus, "*.yaml"), glob(t, prometheus, "dashboards", "*.json")...) {
		if name, err := filepath.Rel(prometheus, file); err != nil {
			t.Fatal(err)
		} else if name != "kustomization.yaml" {
			want = append(want, name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-files +kustomization):\n%s", diff)
	}
}
