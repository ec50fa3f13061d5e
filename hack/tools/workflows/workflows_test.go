// Package workflows_test holds .github/workflows to what they promise: the targets exist, they are those of .ci/run, foreign actions are
// pinned, and no job may do more than it says.
package workflows_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/hack/dockerfile/stages"
)

const root = "../../.."

type workflow struct {
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]job    `json:"jobs"`
}

type job struct {
	Permissions map[string]string `json:"permissions"`
	Timeout     int               `json:"timeout-minutes"`
	Container   any               `json:"container"`
	Strategy    struct {
		Matrix struct {
			Target []string `json:"target"`
		} `json:"matrix"`
	} `json:"strategy"`
	Steps []struct {
		Uses string `json:"uses"`
		Run  string `json:"run"`
	} `json:"steps"`
}

func workflows(t testing.TB) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no workflows: %v", err)
	}
	out := map[string]workflow{}
	for _, file := range files {
		var decoded workflow
		if err := yaml.Unmarshal([]byte(read(t, file)), &decoded); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[filepath.Base(file)] = decoded
	}
	return out
}

func read(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var made = regexp.MustCompile(`\bmake ("?\$?[A-Za-z0-9-]+"?)`)

// image is that of the job's container; empty means that it runs on the machine itself.
func (j job) image() string {
	switch container := j.Container.(type) {
	case string:
		return container
	case map[string]any:
		return fmt.Sprint(container["image"])
	}
	return ""
}

// targets are those that a job makes, with those of its matrix in place of the variable.
func (j job) targets() []string {
	var out []string
	for _, step := range j.Steps {
		for _, match := range made.FindAllStringSubmatch(step.Run, -1) {
			if match[1] == `"$TARGET"` {
				out = append(out, j.Strategy.Matrix.Target...)
			} else {
				out = append(out, match[1])
			}
		}
	}
	return out
}

func TestTargetsExist(t *testing.T) {
	makefile := read(t, filepath.Join(root, "Makefile"))
	var all []string
	for name, w := range workflows(t) {
		for _, job := range w.Jobs {
			for _, target := range job.targets() {
				all = append(all, target)
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).MatchString(makefile) {
					t.Errorf("%s makes %s, which the Makefile does not know", name, target)
				}
			}
		}
	}
	if !slices.Contains(all, "release") || !slices.Contains(all, "verify") {
		t.Errorf("the workflows make %q", all)
	}
}

// TestWorkflowDoesWhatTheScriptDoes compares ci.yaml with the phases of .ci/run.
func TestWorkflowDoesWhatTheScriptDoes(t *testing.T) {
	var phases, targets []string
	for _, match := range regexp.MustCompile(`(?m)^phase \S+ make (\S+)$`).FindAllStringSubmatch(read(t, filepath.Join(root, ".ci", "run")), -1) {
		phases = append(phases, match[1])
	}
	for _, job := range workflows(t)["ci.yaml"].Jobs {
		for _, target := range job.targets() {
			if !strings.HasPrefix(target, "cluster-") {
				targets = append(targets, target)
			}
		}
	}
	slices.Sort(phases)
	slices.Sort(targets)
	if diff := cmp.Diff(phases, targets); diff != "" || len(phases) == 0 {
		t.Errorf("(-.ci/run +ci.yaml):\n%s", diff)
	}
}

// TestWorkflowsBuildWithTheGoOfTheDockerfile: a release that another version of Go has built would have other digests.
func TestWorkflowsBuildWithTheGoOfTheDockerfile(t *testing.T) {
	want := stages.Read(read(t, filepath.Join(root, "Dockerfile"))).Base("build")
	for name, w := range workflows(t) {
		for id, job := range w.Jobs {
			if got := job.image(); got != want && len(job.targets()) > 0 {
				t.Errorf("%s: job %s makes %v in %q, the Dockerfile builds in %q", name, id, job.targets(), got, want)
			}
		}
	}
}

func TestNoJobMayDoMoreThanItSays(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@v\d+\.\d+\.\d+$`)
	for name, w := range workflows(t) {
		if diff := cmp.Diff(map[string]string{"contents": "read"}, w.Permissions); diff != "" {
			t.Errorf("%s: permissions (-want +got):\n%s", name, diff)
		}
		for id, job := range w.Jobs {
			if job.Timeout == 0 {
				t.Errorf("%s: job %s has no time limit", name, id)
			}
			if len(job.Permissions) > 0 && (name != "release.yaml" || id != "publish") {
				t.Errorf("%s: job %s has permissions of its own: %v", name, id, job.Permissions)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s: job %s uses %s, which is not pinned to a version", name, id, step.Uses)
				}
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s: job %s puts an expression into a script, where it is code: %s", name, id, step.Run)
				}
			}
		}
	}
}
