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
	file file
	up   strings.Builder

	section string // "", "up" or "down"
	body    bool   // the first line that is not a comment has been seen
	block   bool   // between StatementBegin and StatementEnd
	open    bool   // a statement has begun and not ended
}

var header = regexp.MustCompile(`^--\s*mirubato:(\S*)\s*(.*?)\s*$`)

func (p *parser) line(line string) error {
	trimmed := strings.TrimSpace(line)
	comment := strings.HasPrefix(trimmed, "--")
	switch {
	case comment && strings.Contains(line, "+goose"):
		return p.annotation(line)
	case header.MatchString(trimmed):
		return p.header(trimmed)
	case trimmed == "" || comment && !p.open:
		return nil
	case p.section == "":
		return errors.New("it must begin with the line '-- +goose Up'")
	}
	p.body = true
	if !p.block {
		p.open = !endsStatement(trimmed)
	}
	if p.section == "up" {
		p.up.WriteString(line + "\n")
	}
	return nil
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
		p.file.transactional = false
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
	return nil
}

func (p *parser) header(line string) error {
	match := header.FindStringSubmatch(line)
	key, value := match[1], Phase(match[2])
	switch {
	case key != "phase":
		return fmt.Errorf("it has the line %q: the only setting is '-- mirubato:phase'", line)
	case p.body:
		return errors.New("'-- mirubato:phase' must come before the first statement")
	case p.file.phase != "":
		return errors.New("it has '-- mirubato:phase' twice")
	case value != Expand && value != Contract:
		return fmt.Errorf("its phase is %q: it must be expand or contract", value)
	}
	p.file.phase = value
	return nil
}

func (p *parser) end() error {
	if p.section == "" {
		return errors.New("it must begin with the line '-- +goose Up'")
	}
	return p.endSection()
}

func (p *parser) endSection() error {
	if p.block {
		return errors.New("'-- +goose StatementBegin' has no StatementEnd")
	}
	if p.open {
		return errors.New("its last statement does not end with a semicolon at the end of a line")
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
