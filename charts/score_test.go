package charts_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// unscored are checks of kube-score that are not made, and why.
var unscored = map[string]string{
	// An image is named by a tag that never moves, or by its digest. A registry that is away must not keep a pod from starting again.
	"container-image-pull-policy": "the image is what its name says, pulled or not",
}

// excused are checks that a rendering need not pass, because what its values say is just that.
var excused = map[string][]string{
	operatorChart + " replicas":              {"deployment-replicas"},
	operatorChart + " affinity":              {"deployment-has-host-podantiaffinity"},
	operatorChart + " networkPolicy.enabled": {"pod-networkpolicy"},
}

// scored is what kube-score says about an object.
type scored struct {
	ObjectName string `json:"object_name"`
	Checks     []struct {
		Check struct {
			ID string `json:"id"`
		} `json:"check"`
		Grade    int  `json:"grade"`
		Skipped  bool `json:"skipped"`
		Comments []struct {
			Summary string `json:"summary"`
		} `json:"comments"`
	} `json:"checks"`
}

// gradeAllOK is the best of kube-score's grades.
const gradeAllOK = 10

// TestScoreFindsNothing asks kube-score about every rendering. A limit of CPU is not asked for: it slows a pod down on an idle node, and
// requests share a busy one.
func TestScoreFindsNothing(t *testing.T) {
	program := os.Getenv("KUBE_SCORE")
	if program == "" {
		t.Fatal("KUBE_SCORE does not name kube-score: run these tests by make test")
	}
	needed := map[string]bool{}
	judged := 0
	eachRendering(t, func(t *testing.T, v variant, _ values, r rendering) {
		t.Helper()
		for _, object := range score(t, program, r) {
			for _, check := range object.Checks {
				judged++
				if check.Skipped || check.Grade == gradeAllOK {
					continue
				}
				if of := v.chart + " " + v.value; slices.Contains(excused[of], check.Check.ID) {
					needed[of+" "+check.Check.ID] = true
					continue
				}
				for _, comment := range check.Comments {
					t.Errorf("%s: %s: %s", object.ObjectName, check.Check.ID, comment.Summary)
				}
			}
		}
	})
	if judged == 0 {
		t.Error("nothing was judged")
	}
	for of, checks := range excused {
		for _, check := range checks {
			if !needed[of+" "+check] {
				t.Errorf("%q needs no excuse from %s", of, check)
			}
		}
	}
}

func score(t *testing.T, program string, r rendering) []scored {
	t.Helper()
	args := []string{"score", "--output-format", "json", "--kubernetes-version", "v1.30", "--ignore-container-cpu-limit"}
	for check := range unscored {
		args = append(args, "--ignore-test", check)
	}
	command := exec.Command(program, append(args, "-")...)
	command.Stdin = strings.NewReader(strings.Join(r.documents, "\n---\n"))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output() // fails where it finds something
	var out []scored
	if jerr := json.Unmarshal(output, &out); jerr != nil {
		t.Fatalf("kube-score: %v, %v: %s", err, jerr, stderr.Bytes())
	}
	return out
}
