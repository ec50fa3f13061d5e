package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStepsAreTold(t *testing.T) {
	var told []string
	s := steps{tell: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }}
	for _, text := range []string{"STEP 1/2: FROM ", "scratch\nWorking\nI: extracting archives...\n", "[1/3] STEP 2/2: RUN one \t two" + strings.Repeat("x", widest) + "\n", "STEP"} {
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"1/2: FROM scratch", "extracting archives...", "2/2: RUN one two" + strings.Repeat("x", widest-len("2/2: RUN one two"))}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
