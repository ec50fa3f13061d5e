package documents_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/test/documents"
)

const root = "../.."

func commands(t testing.TB) []documents.Command {
	t.Helper()
	out, err := documents.Commands(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("the documents have no commands")
	}
	return out
}

func read(t testing.TB, name ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{root}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestBlocksNameTheirLanguage: a block that names none would be looked at by nobody.
func TestBlocksNameTheirLanguage(t *testing.T) {
	blocks, err := documents.Blocks(root)
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"console", "dockerfile", "go", "json", "promql", "python", "sh", "sql", "text", "yaml"}
	for _, block := range blocks {
		if !slices.Contains(known, block.Language) {
			t.Errorf("%s:%d: the block is of language %q, which must be one of %s", block.File, block.Line, block.Language, strings.Join(known, ", "))
		}
	}
}

// elsewhere are programs whose commands are looked at by tests in another directory, where the real program is.
var elsewhere = map[string]string{
	"kubectl":          "plugin",
	"helm":             "test/e2e",
	"mirubato-migrate": "cmd/mirubato-migrate",
}

// system are programs of every machine that these documents are for, used in the plainest way.
var system = []string{"base64", "date", "echo", "export", "grep", "jq", "mkdir", "psql", "sudo", "tail"}

var here = map[string]func(testing.TB, documents.Command) error{
	".":      checkSourced,
	"source": checkSourced,
	"curl":   checkCurl,
	"docker": checkDocker,
	"go":     checkGo,
	"make":   checkMake,
}

func TestEveryCommandIsLookedAt(t *testing.T) {
	for _, command := range commands(t) {
		program := command.Program()
		check, found := here[program]
		switch {
		case found:
			if err := check(t, command); err != nil {
				t.Errorf("%s: %v", command, err)
			}
		case elsewhere[program] != "" || slices.Contains(system, program):
		default:
			t.Errorf("%s: nothing here looks at commands of %s", command, program)
		}
	}
	for program, directory := range elsewhere {
		tests, err := filepath.Glob(filepath.Join(root, directory, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(tests, func(file string) bool {
			content, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(content), "documents.Commands(") && strings.Contains(string(content), `"`+program+`"`)
		}) {
			t.Errorf("no test in %s looks at commands of %s", directory, program)
		}
	}
}

// TestPathsThatAreNamedAreThere: those that begin with a directory of the repository.
func TestPathsThatAreNamedAreThere(t *testing.T) {
	for _, command := range commands(t) {
		for _, word := range command.Words {
			path := strings.TrimPrefix(word, "./")
			first, _, isPath := strings.Cut(path, "/")
			if !isPath || strings.ContainsAny(path, "$*:= ") || first == "" {
				continue
			}
			if path, isProgram := strings.CutPrefix(path, ".local/bin/"); isProgram {
				if !strings.Contains(read(t, "Makefile")+read(t, "hack", "localcluster", "binaries", "binaries.go"), path) {
					t.Errorf("%s: nothing makes %s", command, word)
				}
				continue
			}
			if info, err := os.Stat(filepath.Join(root, first)); err != nil || !info.IsDir() || first == ".local" {
				continue // the reader's own
			}
			if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(path, "/..."))); err != nil {
				t.Errorf("%s: there is no %s", command, word)
			}
		}
	}
}

// checkMake wants the target, and the variables that its line of help names in brackets.
func checkMake(t testing.TB, c documents.Command) error {
	t.Helper()
	help := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## (.*)$`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		help[line[1]] = line[2]
	}
	variables, target := []string{}, ""
	for _, arg := range c.Args() {
		name, _, isVariable := strings.Cut(arg, "=")
		switch {
		case isVariable:
			variables = append(variables, name)
		case help[arg] == "":
			return fmt.Errorf("there is no target %s", arg)
		default:
			target = arg
		}
	}
	_, takes, _ := strings.Cut(help[target], "[")
	for _, name := range variables {
		if !regexp.MustCompile(`\b` + name + `=`).MatchString(takes) {
			return fmt.Errorf("%s does not take %s", target, name)
		}
	}
	return nil
}

// checkSourced wants a file that some program of ours writes.
func checkSourced(t testing.TB, c documents.Command) error {
	t.Helper()
	if len(c.Args()) != 1 || c.Args()[0] != ".local/dev.env" {
		return errors.New("only .local/dev.env is there to be read")
	}
	if !strings.Contains(read(t, "hack", "dev", "environment.go")+read(t, "hack", "dev", "home.go"), "dev.env") {
		return errors.New("make dev does not write it")
	}
	return nil
}

func checkCurl(_ testing.TB, c documents.Command) error {
	call, err := c.Curl()
	if err != nil {
		return err
	}
	if call.Header.Get("Content-Type") == "application/json" && !json.Valid([]byte(call.Body)) {
		return fmt.Errorf("%s is no JSON", call.Body)
	}
	if !strings.HasPrefix(call.URL, "$API/api/") && !strings.HasPrefix(call.URL, "$ops/") && !strings.HasPrefix(call.URL, "https://") {
		return fmt.Errorf("%s is no address", call.URL)
	}
	return nil
}

// checkDocker wants the stage and the arguments of the Dockerfile.
func checkDocker(t testing.TB, c documents.Command) error {
	t.Helper()
	if !c.Begins("docker", "build") {
		return errors.New("only docker build is known")
	}
	file := read(t, "Dockerfile")
	for args := c.Args()[1:]; len(args) > 0; args = args[1:] {
		var want string
		switch args[0] {
		case "--target":
			want, args = `(?mi)^FROM .* AS `+regexp.QuoteMeta(args[1])+`$`, args[1:]
		case "--build-arg":
			name, _, _ := strings.Cut(args[1], "=")
			want, args = `(?m)^\s*ARG `+name+`\b`, args[1:]
		case ".":
			continue
		default:
			return fmt.Errorf("%s is not known", args[0])
		}
		if !regexp.MustCompile(want).MatchString(file) {
			return fmt.Errorf("the Dockerfile has no %s", args[0])
		}
	}
	return nil
}

// checkGo wants a package with that test, and the flags that its tests define.
func checkGo(t testing.TB, c documents.Command) error {
	t.Helper()
	args := c.Args()
	if len(args) < 2 || args[0] != "test" {
		return errors.New("only go test PACKAGE is known")
	}
	files, err := filepath.Glob(filepath.Join(root, strings.TrimSuffix(args[1], "/..."), "*_test.go"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no tests: %w", args[1], err)
	}
	var tests strings.Builder
	for _, file := range files {
		tests.WriteString(read(t, strings.TrimPrefix(file, root)))
	}
	for args = args[2:]; len(args) > 0; args = args[1:] {
		flag := strings.TrimPrefix(args[0], "-")
		switch {
		case flag == "run":
			pattern, err := regexp.Compile(strings.TrimSuffix(args[1], "$"))
			if err != nil {
				return err
			}
			found := regexp.MustCompile(`func (Test\w+)\(`).FindAllStringSubmatch(tests.String(), -1)
			if !slices.ContainsFunc(found, func(name []string) bool { return pattern.MatchString(name[1]) }) {
				return fmt.Errorf("no test is called %s", args[1])
			}
			args = args[1:]
		case flag == args[0]: // a value
		case slices.Contains([]string{"v", "race", "count", "timeout", "shuffle=on"}, flag):
		case !strings.Contains(tests.String(), `("`+flag+`"`):
			return fmt.Errorf("no test defines -%s", flag)
		}
	}
	return nil
}

func TestCommandsAreTakenApart(t *testing.T) {
	for name, tc := range map[string]struct {
		block documents.Block
		want  []documents.Command
	}{
		"quotes, variables, comments": {
			documents.Block{Language: "sh", Text: "a 'b c' \"$D/e\"f # g\n"},
			[]documents.Command{{Line: 1, Words: []string{"a", "b c", "$D/ef"}}},
		},
		"a line that goes on, a pipe, another command's output": {
			documents.Block{Language: "sh", Text: "x=$(a b) c \\\n  d | e\n"},
			[]documents.Command{{Line: 1, Words: []string{"c", "d"}}, {Line: 1, Words: []string{"a", "b"}}, {Line: 2, Words: []string{"e"}}},
		},
		"a here-document": {
			documents.Block{Language: "sh", Text: "a - <<EOF\nb: $(c)\nEOF\n"},
			[]documents.Command{{Line: 1, Words: []string{"a", "-"}, Input: "b: $(...)\n"}, {Line: 2, Words: []string{"c"}}},
		},
		"a loop":    {documents.Block{Language: "sh", Text: "for a in b; do c \"$a\"; done\n"}, []documents.Command{{Line: 1, Words: []string{"c", "$a"}}}},
		"a session": {documents.Block{Language: "console", Text: "$ a b\nc (d\n\n$ e\n"}, []documents.Command{{Line: 1, Words: []string{"a", "b"}}, {Line: 4, Words: []string{"e"}}}},
		"no shell":  {documents.Block{Language: "text", Text: "a (b\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.block.Commands()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	wrong := documents.Block{File: "a.md", Line: 7, Language: "sh", Text: "a\nb [c (d\n"}
	if _, err := wrong.Commands(); err == nil || !strings.HasPrefix(err.Error(), "a.md:9: ") {
		t.Errorf("what is no shell: %v", err)
	}
}
