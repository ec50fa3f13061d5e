package buildah

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironmentKeepsTheWayToTheNetwork(t *testing.T) {
	got := environment([]string{"PATH=/bin", "https_proxy=http://proxy.example.com", "HOME=/root", "REGISTRY_AUTH_FILE=/root/auth", "CONTAINERS_CONF=/x"})
	if diff := cmp.Diff([]string{"PATH=/bin", "https_proxy=http://proxy.example.com"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var log strings.Builder
	end := newTail(&log)
	const lines = 2000
	for line := range lines {
		if _, err := fmt.Fprintf(end, "line %d\n", line); err != nil {
			t.Fatal(err)
		}
	}
	got := end.String()
	if !strings.HasPrefix(got, "line ") || !strings.HasSuffix(got, fmt.Sprintf("line %d\n", lines-1)) || len(got) > most {
		t.Errorf("%d bytes were kept, from %.20q", len(got), got)
	}
	if strings.Count(log.String(), "\n") != lines {
		t.Errorf("the log has %d lines, want %d", strings.Count(log.String(), "\n"), lines)
	}
	if _, err := io.WriteString(end, strings.Repeat("x", 2*most)); err != nil || len(end.String()) != most {
		t.Errorf("of one long line %d bytes were kept, want %d", len(end.String()), most)
	}
}
