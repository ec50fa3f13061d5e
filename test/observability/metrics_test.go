package observability_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

// expression is a query of an alert or a panel, and where it is.
type expression struct{ where, text string }

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr string }
}

type dashboard struct {
	UID, Title string
	Templating struct {
		List []struct {
			Name, Type string
			Definition string
		}
	}
	Panels []panel
}

func dashboards(t testing.TB) map[string]dashboard {
	t.Helper()
	out := map[string]dashboard{}
	for _, file := range glob(t, prometheus, "dashboards", "*.json") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[filepath.Base(file)] = d
	}
	return out
}

// expressions are all queries of alerts and dashboards, with the variables of Grafana filled in.
func expressions(t testing.TB) []expression {
	t.Helper()
	var out []expression
	for _, r := range rules(t) {
		out = append(out, expression{r.Alert + r.Record, r.Expr})
	}
	variable := regexp.MustCompile(`\$\w+`)
	values := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for file, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				text := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
				out = append(out, expression{file + ": " + p.Title, variable.ReplaceAllString(text, ".*")})
			}
		}
		for _, v := range d.Templating.List {
			if parts := values.FindStringSubmatch(v.Definition); parts != nil {
				out = append(out, expression{file + ": $" + v.Name, fmt.Sprintf("count by (%s) (%s)", parts[2], variable.ReplaceAllString(parts[1], ".*"))})
			} else if v.Type == "query" {
				t.Errorf("%s: the values of $%s are not those of a label", file, v.Name)
			}
		}
	}
	return out
}

// TestQueriesCanBeRead asks promtool, which takes them as rules.
func TestQueriesCanBeRead(t *testing.T) {
	type recorded struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var all []recorded
	for i, e := range expressions(t) {
		all = append(all, recorded{fmt.Sprintf("query:%d", i), e.text})
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "queries.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "", "check", "rules", file); err != nil {
		t.Errorf("%v\n%s\n%v", err, out, expressions(t))
	}
}

// TestDashboardsAreInOrder finds what Grafana would draw over each other.
func TestDashboardsAreInOrder(t *testing.T) {
	uids := map[string]string{}
	for file, d := range dashboards(t) {
		if other, taken := uids[d.UID]; taken || d.UID == "" || d.Title == "" {
			t.Errorf("%s: uid %q, title %q; %s has the same uid", file, d.UID, d.Title, other)
		}
		uids[d.UID] = file
		ids, cells := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: panel %d is there twice", file, p.ID)
			}
			ids[p.ID] = true
			if p.Title == "" || p.Type != "row" && len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: panel %d (%q) has no title, no query or no room", file, p.ID, p.Title)
			}
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					if other, taken := cells[cell]; taken {
						t.Fatalf("%s: %q lies over %q", file, p.Title, other)
					}
					cells[cell] = p.Title
				}
			}
		}
	}
}

// What an expression consists of besides metrics.
var (
	quoted     = regexp.MustCompile(`"[^"]*"`)
	braces     = regexp.MustCompile(`\{[^}]*\}`)
	number     = regexp.MustCompile(`(^|[^\w:])[0-9][\w.]*`) // not that in the name of a record
	grouping   = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	selector   = regexp.MustCompile(`([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	durations  = regexp.MustCompile(`\[[^\]]*\]`)
	identifier = regexp.MustCompile(`[a-zA-Z_:][\w:]*\s*\(?`)
	operators  = []string{"and", "or", "unless", "bool", "offset"}
)

// metricsOf returns the metrics that an expression names.
func metricsOf(text string) []string {
	for _, no := range []*regexp.Regexp{quoted, braces, durations, grouping} { // what is quoted may hold any of the others
		text = no.ReplaceAllString(text, " ")
	}
	text = number.ReplaceAllString(text, "$1 ")
	var out []string
	for _, word := range identifier.FindAllString(text, -1) {
		if !strings.HasSuffix(word, "(") && !slices.Contains(operators, strings.TrimSpace(word)) {
			out = append(out, strings.TrimSpace(word))
		}
	}
	return out
}

// labelsOf returns the labels by which an expression selects a metric, and those by which it groups.
func labelsOf(text string) (selected map[string][]string, grouped []string) {
	selected = map[string][]string{}
	for _, s := range selector.FindAllStringSubmatch(text, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			selected[s[1]] = append(selected[s[1]], m[1])
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(text, -1) {
		for label := range strings.SplitSeq(g[2], ",") {
			if label = strings.TrimSpace(label); label != "" {
				grouped = append(grouped, label)
			}
		}
	}
	return selected, grouped
}

func TestMetricsOf(t *testing.T) {
	for text, want := range map[string][]string{
		`sum by (a, b) (rate(x_total{a="y_total",b!~"c|d"}[5m])) / on (a) group_left (z) y > 0.5`: {"x_total", "y"},
		`histogram_quantile(0.99, sum(rate(x_bucket[5m])) by (le)) unless absent(up) == 1e3`:      {"x_bucket", "up"},
		`a:b:c30d and on (instance) d:30d{e="f"} * 30 offset 5m`:                                  {"a:b:c30d", "d:30d"},
	} {
		if diff := cmp.Diff(want, metricsOf(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// given are labels that Prometheus, or what is scraped, gives to every series.
var given = []string{"pod", "instance", "job", "namespace", "le"}

// ofServices are those that config/prometheus/service_monitor.yaml gives to the series of services.
var ofServices = []string{"microservice_namespace", "microservice", "environment"}

// TestQueriesAskForWhatThereIs holds every name in alerts and dashboards to what the operator and a service serve.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	operator, service := series(operatorScrape(t)), series(serviceScrape(t))
	recorded := map[string]bool{"up": true} // Prometheus makes it
	for _, r := range rules(t) {
		if r.Record != "" {
			recorded[r.Record] = true
		}
	}
	for _, e := range expressions(t) {
		selected, grouped := labelsOf(e.text)
		known := map[string]bool{}
		for _, metric := range metricsOf(e.text) {
			labels, there := map[string]bool{}, false
			for _, scraped := range []map[string]map[string]bool{operator, service} {
				if has, ok := scraped[metric]; ok {
					there = true
					maps.Copy(labels, has)
				}
			}
			if !there && !recorded[metric] {
				t.Errorf("%s: %s is served by nobody", e.where, metric)
				continue
			}
			if _, ok := service[metric]; ok || recorded[metric] {
				for _, label := range ofServices {
					labels[label] = true
				}
			}
			for _, label := range selected[metric] {
				if !labels[label] && !slices.Contains(given, label) {
					t.Errorf("%s: %s has no label %s", e.where, metric, label)
				}
			}
			maps.Copy(known, labels)
		}
		for _, label := range grouped {
			if !known[label] && !slices.Contains(given, label) {
				t.Errorf("%s: nothing in it has a label %s", e.where, label)
			}
		}
	}
}

// series are the names of the series of a scrape, as queries call them, with their labels.
func series(families map[string]*dto.MetricFamily) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for name, family := range families {
		labels := map[string]bool{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = true
			}
		}
		switch family.GetType() {
		case dto.MetricType_HISTOGRAM:
			out[name+"_bucket"] = labels
			fallthrough
		case dto.MetricType_SUMMARY:
			out[name+"_sum"], out[name+"_count"] = labels, labels
		default:
			out[name] = labels
		}
	}
	return out
}

// TestMetricsAreDocumented holds the tables of docs/observability.md to what the operator serves.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(mirubato_\\w+)` \\| (\\w+) \\|([^|]*)\\| \\S").FindAllStringSubmatch(string(text), -1) {
		labels := regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[3], -1)
		var names []string
		for _, label := range labels {
			names = append(names, label[1])
		}
		slices.Sort(names)
		documented[row[1]] = row[2] + " " + strings.Join(names, ",")
	}
	served := map[string]string{}
	for name, family := range operatorScrape(t) {
		if strings.HasPrefix(name, "mirubato_") {
			served[name] = strings.ToLower(family.GetType().String()) + " " + strings.Join(slices.Sorted(maps.Keys(series(map[string]*dto.MetricFamily{name: family})[first(name, family)])), ",")
		}
	}
	if diff := cmp.Diff(documented, served); diff != "" {
		t.Errorf("(-docs +operator):\n%s", diff)
	}
}

// first is a series of a family.
func first(name string, family *dto.MetricFamily) string {
	if kind := family.GetType(); kind == dto.MetricType_HISTOGRAM || kind == dto.MetricType_SUMMARY {
		return name + "_count"
	}
	return name
}

// TestMetricsFollowTheConventions asks promtool about what the operator itself names; the rest is others'.
func TestMetricsFollowTheConventions(t *testing.T) {
	operatorScrape(t)
	out, err := promtool(t, scrapes.operatorText, "check", "metrics")
	const lint = 3 // promtool's status if something is to be said of a name
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == lint) {
		t.Fatalf("the metrics cannot be read: %v\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "mirubato_") {
			t.Error(strings.TrimSpace(line))
		}
	}
}
