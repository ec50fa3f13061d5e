package plugin

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRunbooksNameCommandsThatThereAre: somebody types them at three in the morning.
func TestRunbooksNameCommandsThatThereAre(t *testing.T) {
	pages, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no runbooks: %v", err)
	}
	line := regexp.MustCompile("kubectl mirubato ([^`\n]+)")
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range line.FindAllStringSubmatch(string(text), -1) {
			found++
			root := command(&session{})
			cmd, args, err := root.Find(strings.Fields(match[1]))
			if err != nil || cmd == root {
				t.Errorf("%s: %s is no command: %v", filepath.Base(page), match[0], err)
				continue
			}
			if err := cmd.ParseFlags(args); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), match[0], err)
			} else if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), match[0], err)
			}
		}
	}
	if found == 0 {
		t.Error("the runbooks name no command")
	}
}
