package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/api/contract"
)

// Formats are the names of what Write can write.
func Formats() []string { return []string{"text", "json", "sarif", "github"} }

// Write writes a report for people (text), programs (json), code scanners (sarif, version 2.1.0), or as the workflow commands by which
// GitHub puts findings beside the lines (github).
func Write(out io.Writer, report contract.LintReport, format string) error {
	switch format {
	case "text":
		return writeText(out, report)
	case "json":
		return encode(out, report)
	case "sarif":
		return encode(out, newSARIF(report))
	case "github":
		return writeGitHub(out, report)
	}
	return fmt.Errorf("format %q is none of %s", format, strings.Join(Formats(), ", "))
}

func encode(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func writeText(out io.Writer, report contract.LintReport) error {
	var text strings.Builder
	counts := map[contract.LintLevel]int{}
	for _, f := range report.Findings {
		counts[f.Level]++
		fmt.Fprintf(&text, "%s:%d:%d: %s: %s [%s, %s]\n    %s\n    %s\n", f.File, f.Line, f.Column, f.Level, f.Message, f.Rule, f.Gate, f.Fix, f.Docs)
	}
	fmt.Fprintf(&text, "%d files, %d statements, %d of them not analysable: %d findings block, %d warn, %d inform\n",
		report.Files, report.Statements, report.Unanalysable, counts[contract.LintBlock], counts[contract.LintWarn], counts[contract.LintInfo])
	_, err := io.WriteString(out, text.String())
	return err
}

// githubCommands are those of GitHub for the levels.
var githubCommands = map[contract.LintLevel]string{contract.LintBlock: "error", contract.LintWarn: "warning", contract.LintInfo: "notice"}

func writeGitHub(out io.Writer, report contract.LintReport) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var text strings.Builder
	for _, f := range report.Findings {
		fmt.Fprintf(&text, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", githubCommands[f.Level], property.Replace(f.File), f.Line, f.Column,
			property.Replace(f.Rule), data.Replace(f.Message+"\n"+f.Fix+"\n"+f.Docs))
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// The parts of SARIF 2.1.0 that a report needs; the names are those of the standard.
type (
	sarif struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		URI   string      `json:"informationUri"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string       `json:"id"`
		Short   sarifText    `json:"shortDescription"`
		Help    sarifText    `json:"help"`
		HelpURI string       `json:"helpUri"`
		Default sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
)

var sarifLevels = map[contract.LintLevel]string{contract.LintBlock: "error", contract.LintWarn: "warning", contract.LintInfo: "note"}

func newSARIF(report contract.LintReport) sarif {
	rules := Rules()
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "mirubato-migrate", URI: docsRoot + "README.md"}}, Results: []sarifResult{}}
	for _, r := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: r.Name, Short: sarifText{strings.ReplaceAll(r.Message, "%s", "…")}, Help: sarifText{r.Fix}, HelpURI: r.Docs(),
			Default: sarifDefault{sarifLevels[r.Level]},
		})
	}
	for _, f := range report.Findings {
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Rule, RuleIndex: slices.IndexFunc(rules, func(r Rule) bool { return r.Name == f.Rule }),
			Level: sarifLevels[f.Level], Message: sarifText{f.Message + ". " + f.Fix},
			Locations: []sarifLocation{{sarifPhysical{sarifArtifact{strings.ReplaceAll(f.File, `\`, "/")}, sarifRegion{f.Line, f.Column}}}},
		})
	}
	return sarif{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}
