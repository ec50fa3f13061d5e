// Package documents reads the commands that README.md and docs tell people to type, out of the blocks of shell in them. It owns finding
// these and taking them apart. Whether a program knows its command is the affair of the tests beside that program, and of those here for
// programs that are not ours.
package documents

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A Block is what stands between two fences of a document.
type Block struct {
	// File is relative to the root of the repository, Line that of the opening fence, counted from 1.
	File string
	Line int
	// Language is what the fence names; empty if it names none.
	Language string
	Text     string
}

// A Command is a program with its arguments, as a shell would start it. What only a shell could tell, the value of a variable or the
// output of another command, stands in a word as $NAME or $(...).
type Command struct {
	File string
	Line int
	// Words begin with the program, which may be a path. Quotes are resolved.
	Words []string
	// Input is the here-document that the command reads; empty if there is none.
	Input string
}

// Program is the name of the program, without its directory.
func (c Command) Program() string { return filepath.Base(c.Words[0]) }

// Args are the words behind the program.
func (c Command) Args() []string { return c.Words[1:] }

func (c Command) String() string {
	return fmt.Sprintf("%s:%d: %s", c.File, c.Line, strings.Join(c.Words, " "))
}

// Begins tells whether the command is of a program and, if words follow, of that command of it.
func (c Command) Begins(program string, words ...string) bool {
	return c.Program() == program && len(c.Args()) >= len(words) && slices.Equal(c.Args()[:len(words)], words)
}

// Blocks returns those of all documents of a repository, in the order in which they stand.
func Blocks(root string) ([]Block, error) {
	var out []Block
	files, err := pages(root)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil, err
		}
		found, err := blocksOf(file, string(content))
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Commands returns those of all documents of a repository.
func Commands(root string) ([]Command, error) {
	blocks, err := Blocks(root)
	if err != nil {
		return nil, err
	}
	var out []Command
	for _, block := range blocks {
		commands, err := block.Commands()
		if err != nil {
			return nil, err
		}
		out = append(out, commands...)
	}
	return out, nil
}

// pages are the README files of the repository and of its charts, and everything in docs.
func pages(root string) ([]string, error) {
	out := []string{"README.md"}
	for _, directory := range []string{"charts", "docs"} {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
				return err
			}
			name, err := filepath.Rel(root, path)
			out = append(out, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

const fence = "```"

func blocksOf(file, content string) ([]Block, error) {
	var out []Block
	var open *Block
	number := 0
	for line := range strings.Lines(content) {
		number++
		language, fenced := strings.CutPrefix(strings.TrimSpace(line), fence)
		switch {
		case !fenced && open != nil:
			open.Text += line
		case fenced && open == nil:
			open = &Block{File: file, Line: number, Language: language}
		case fenced:
			out, open = append(out, *open), nil
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s:%d: the block has no end", open.File, open.Line)
	}
	return out, nil
}

// Commands of a block of shell. A session at a console shows them behind a dollar, and what they print besides. Other blocks have none.
func (b Block) Commands() ([]Command, error) {
	switch b.Language {
	case "sh":
		return b.parse(b.Text)
	case "console":
		var typed strings.Builder
		for line := range strings.Lines(b.Text) {
			line, found := strings.CutPrefix(line, "$ ")
			if !found {
				line = "\n" // keeps the numbers of the lines
			}
			typed.WriteString(line)
		}
		return b.parse(typed.String())
	}
	return nil, nil
}

func (b Block) parse(text string) ([]Command, error) {
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), b.File)
	if err != nil {
		var at syntax.ParseError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("%s:%d: %s", b.File, b.Line+int(at.Pos.Line()), at.Text)
		}
		return nil, fmt.Errorf("%s:%d: %w", b.File, b.Line, err)
	}
	var out []Command
	syntax.Walk(parsed, func(node syntax.Node) bool {
		statement, ok := node.(*syntax.Stmt)
		if !ok {
			return true
		}
		command := Command{File: b.File, Line: b.Line + int(statement.Pos().Line())}
		switch cmd := statement.Cmd.(type) {
		case *syntax.CallExpr:
			for _, word := range cmd.Args {
				command.Words = append(command.Words, resolve(word.Parts))
			}
		case *syntax.DeclClause: // export and the like
			command.Words = []string{cmd.Variant.Value}
		}
		for _, redirection := range statement.Redirs {
			if redirection.Hdoc != nil {
				command.Input = resolve(redirection.Hdoc.Parts)
			}
		}
		if len(command.Words) > 0 {
			out = append(out, command)
		}
		return true
	})
	return out, nil
}

// resolve takes the quotes off.
func resolve(parts []syntax.WordPart) string {
	var out strings.Builder
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			out.WriteString(strings.ReplaceAll(part.Value, `\`, ""))
		case *syntax.SglQuoted:
			out.WriteString(part.Value)
		case *syntax.DblQuoted:
			out.WriteString(resolve(part.Parts))
		case *syntax.ParamExp:
			out.WriteString("$" + part.Param.Value)
		default:
			out.WriteString("$(...)")
		}
	}
	return out.String()
}
