package main

import (
	"testing"

	"github.com/mirubato/mirubato/test/documents"
)

// TestDocumentedCommands: whoever types what the documents say gets no error about the command line.
func TestDocumentedCommands(t *testing.T) {
	commands, err := documents.Commands("../..")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range commands {
		if !c.Begins("mirubato-migrate") {
			continue
		}
		found++
		root := newCommand(func(string) string { return "" })
		cmd, args, err := root.Find(c.Args())
		switch {
		case err != nil:
		case cmd == root:
			t.Errorf("%s: there is no such command", c)
			continue
		default:
			if err = cmd.ParseFlags(args); err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
		}
		if err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	if found == 0 {
		t.Error("the documents have no command of mirubato-migrate")
	}
}
