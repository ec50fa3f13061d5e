package plugin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogOfARestoreIsToldInShort(t *testing.T) {
	const log = `{"time":"2026-03-01T12:00:00Z","level":"INFO","msg":"checking the dump","bytes":12}
not JSON
{"time":"2026-03-01T12:00:01Z","level":"INFO","msg":"restoring the dump","percent":0}
{"reportVersion":1,"restored":true}
`
	var told []string
	tellLog(strings.NewReader(log), func(line string) { told = append(told, line) })
	if diff := cmp.Diff([]string{"checking the dump", "restoring the dump, 0% read"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
