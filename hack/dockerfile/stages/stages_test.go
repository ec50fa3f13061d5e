package stages

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const example = `# A comment.
ARG BASE=debian:12-slim
ARG TOOLS=tools:1

FROM ${TOOLS} AS build
RUN one && \
	two
# Another comment.
copy a  b c/

FROM scratch
FROM ${BASE} AS last
LABEL one="1" \
	two="2"
RUN three
RUN four
`

func TestRead(t *testing.T) {
	file := Read(example)
	want := File{
		Defaults: map[string]string{"BASE": "debian:12-slim", "TOOLS": "tools:1"},
		Stages: []Stage{
			{Name: "build", From: "${TOOLS}", Instructions: []Instruction{{"RUN", "one && two"}, {"COPY", "a b c/"}}},
			{From: "scratch"},
			{Name: "last", From: "${BASE}", Instructions: []Instruction{{"LABEL", `one="1" two="2"`}, {"RUN", "three"}, {"RUN", "four"}}},
		},
	}
	if diff := cmp.Diff(want, file); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"three", "four"}, file.Stage("last").All("RUN")); diff != "" {
		t.Errorf("instructions (-want +got):\n%s", diff)
	}
	if got := []string{file.Base("build"), file.Base("last"), file.Base("none")}; !cmp.Equal(got, []string{"tools:1", "debian:12-slim", ""}) {
		t.Errorf("the stages begin with %q", got)
	}
}
