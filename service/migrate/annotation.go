package migrate

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// parser reads a file line by line. It knows goose's annotations well enough to refuse, before anything runs, what
// goose would only notice when it comes to the file.
type parser struct {
	script Script
	at     int // the line being read, from 1

	section string // "", "up" or "down"
	body    bool   // the first line that is not a comment has been seen
	block   bool   // between StatementBegin and StatementEnd
	open    bool   // a statement has begun and not ended

	text         strings.Builder   // of the statement that has begun
	begins       int               // its first line
	acknowledged []Acknowledgement // for the next statement
}

var (
	header = regexp.MustCompile(`^--\s*mirubato:(\S*)\s*(.*?)\s*$`)
	accept = regexp.MustCompile(`^([a-z][a-z0-9-]*):\s*(\S.*)$`)
)

func (p *parser) line(line string) error {
	trimmed := strings.TrimSpace(line)
	comment := strings.HasPrefix(trimmed, "--")
	switch {
	case comment && strings.Contains(line, "+goose"):
		return p.annotation(line)
	case header.MatchString(trimmed):
		return p.header(trimmed)
	case p.text.Len() == 0 && (trimmed == "" || comment):
		return nil
	case p.section == "":
		return errors.New("it must begin with the line '-- +goose Up'")
	}
	p.body = true
	if p.text.Len() == 0 {
		p.begins = p.at
	}
	p.text.WriteString(line + "\n")
	if p.block {
		return nil
	}
	p.open = !endsStatement(trimmed)
	if !p.open {
		p.endStatement()
	}
	return nil
}

// endStatement hands over what has been read, unless it is of the Down part, which is never run.
func (p *parser) endStatement() {
	if text := strings.TrimRight(p.text.String(), "\n"); p.section == "up" && text != "" {
		p.script.Statements = append(p.script.Statements, Statement{Text: text, Line: p.begins, Acknowledged: p.acknowledged})
		p.acknowledged = nil
	}
	p.text.Reset()
}

func (p *parser) annotation(line string) error {
	if line[0] != '-' {
		return fmt.Errorf("the line %q must not be indented", strings.TrimSpace(line))
	}
	words := strings.ToLower(strings.Join(strings.Fields(strings.Replace(strings.TrimLeft(line, "-"), "+goose", "", 1)), " "))
	switch words {
	case "up", "down":
		return p.beginSection(words)
	case "statementbegin", "statementend":
		return p.setBlock(words == "statementbegin")
	case "no transaction":
		p.script.Transactional = false
		return nil
	}
	// ENVSUB is among the rest: with it, a file would not mean the same in every environment.
	return fmt.Errorf("it has the line %q, which is not one of '-- +goose' Up, Down, StatementBegin, StatementEnd, NO TRANSACTION", line)
}

func (p *parser) beginSection(name string) error {
	switch {
	case name == "up" && p.section != "":
		return errors.New("it has a second '-- +goose Up'")
	case name == "down" && p.section != "up":
		return errors.New("'-- +goose Down' must come once, after '-- +goose Up'")
	}
	if err := p.endSection(); err != nil {
		return err
	}
	p.section = name
	return nil
}

func (p *parser) setBlock(begin bool) error {
	switch {
	case begin && (p.section == "" || p.block || p.open):
		return errors.New("'-- +goose StatementBegin' stands in the middle of a statement or before '-- +goose Up'")
	case !begin && !p.block:
		return errors.New("'-- +goose StatementEnd' comes without StatementBegin")
	}
	p.block = begin
	if !begin {
		p.endStatement()
	}
	return nil
}

func (p *parser) header(line string) error {
	match := header.FindStringSubmatch(line)
	switch match[1] {
	case "phase":
		return p.phase(Phase(match[2]))
	case acknowledgement:
		return p.acknowledge(match[2])
	}
	return fmt.Errorf("it has the line %q: the only settings are '-- mirubato:phase' and '-- mirubato:acknowledge'", line)
}

func (p *parser) phase(value Phase) error {
	switch {
	case p.body:
		return errors.New("'-- mirubato:phase' must come before the first statement")
	case p.script.Phase != "":
		return errors.New("it has '-- mirubato:phase' twice")
	case value != Expand && value != Contract:
		return fmt.Errorf("its phase is %q: it must be expand or contract", value)
	}
	p.script.Phase = value
	return nil
}

// acknowledge takes a line above '-- +goose Up' for the whole file, and one below for the next statement.
func (p *parser) acknowledge(text string) error {
	match := accept.FindStringSubmatch(text)
	switch {
	case match == nil:
		return fmt.Errorf("'-- mirubato:acknowledge %s' must name a rule and a reason, like '-- mirubato:acknowledge drop-column: no release reads it'", text)
	case p.block || p.open:
		return errors.New("'-- mirubato:acknowledge' stands in the middle of a statement: put it above")
	}
	a := Acknowledgement{Rule: match[1], Reason: match[2], Line: p.at}
	switch p.section {
	case "":
		p.script.Acknowledged = append(p.script.Acknowledged, a)
	case "up":
		p.acknowledged = append(p.acknowledged, a)
	}
	return nil
}

func (p *parser) end() error {
	if p.section == "" {
		return errors.New("it must begin with the line '-- +goose Up'")
	}
	return p.endSection()
}

func (p *parser) endSection() error {
	switch {
	case p.block:
		return errors.New("'-- +goose StatementBegin' has no StatementEnd")
	case p.open:
		return errors.New("its last statement does not end with a semicolon at the end of a line")
	case len(p.acknowledged) > 0:
		return errors.New("'-- mirubato:acknowledge' has no statement below it: put it above the statement that it is about")
	}
	return nil
}

// endsStatement follows goose: outside a block, a statement ends with a line whose last word before a comment ends
// with a semicolon.
func endsStatement(line string) bool {
	last := ""
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "--") {
			break
		}
		last = word
	}
	return strings.HasSuffix(last, ";")
}
