package migrate

import "strings"

// A token is one word, name or sign of SQL; comments and blanks are none. It is enough to recognise what kind of
// statement something is, and where it ends; it is no parser.
type token struct {
	// text is folded to lower case for words, as PostgreSQL does, and verbatim for quoted names. It is "'" for every
	// string constant, whose content never matters here.
	text   string
	quoted bool
}

// A statement is the tokens of one SQL statement without its semicolon.
type statement []token

// is says whether the statement begins with these words.
func (s statement) is(words ...string) bool {
	if len(s) < len(words) {
		return false
	}
	for i, w := range words {
		if s[i].quoted || s[i].text != w {
			return false
		}
	}
	return true
}

// after returns what follows these words; the statement as it is, and false, if it does not begin with them.
func (s statement) after(words ...string) (statement, bool) {
	if !s.is(words...) {
		return s, false
	}
	return s[len(words):], true
}

// splitStatements cuts SQL at the semicolons that end statements: not those in strings, names, comments, parentheses
// or the bodies of SQL functions (BEGIN ATOMIC ... END).
func splitStatements(sql string) []statement {
	var (
		all     []statement
		current statement
		parens  int
		blocks  int // open BEGIN ATOMIC and the CASE within
	)
	for sql != "" {
		t, rest, ok := nextToken(sql)
		sql = rest
		if !ok {
			continue
		}
		if t.text == ";" && !t.quoted && parens == 0 && blocks == 0 {
			if len(current) > 0 {
				all, current = append(all, current), nil
			}
			continue
		}
		parens = max(0, parens+parenStep(t))
		blocks = max(0, blocks+blockStep(current, t, blocks))
		current = append(current, t)
	}
	if len(current) > 0 {
		all = append(all, current)
	}
	return all
}

func parenStep(t token) int {
	switch {
	case t.quoted:
		return 0
	case t.text == "(":
		return 1
	case t.text == ")":
		return -1
	}
	return 0
}

func blockStep(before statement, t token, blocks int) int {
	switch {
	case t.quoted:
		return 0
	case t.text == "atomic" && len(before) > 0 && before[len(before)-1] == token{text: "begin"}:
		return 1
	case t.text == "case" && blocks > 0:
		return 1
	case t.text == "end" && blocks > 0:
		return -1
	}
	return 0
}

// nextToken takes one token off the front of a non-empty text; ok is false if it was a blank or a comment.
func nextToken(sql string) (t token, rest string, ok bool) {
	if end := skipped(sql); end > 0 {
		return token{}, sql[end:], false
	}
	if end := constantEnd(sql); end > 0 {
		return token{text: "'"}, sql[end:], true
	}
	end := 1
	switch c := sql[0]; {
	case c == '"':
		end = quotedEnd(sql, '"', false)
		name := strings.TrimSuffix(sql[1:end], `"`)
		return token{text: strings.ReplaceAll(name, `""`, `"`), quoted: true}, sql[end:], true
	case isWordByte(c):
		for end < len(sql) && (isWordByte(sql[end]) || sql[end] == '$') {
			end++
		}
	}
	return token{text: strings.ToLower(sql[:end])}, sql[end:], true
}

// skipped returns the length of a blank or a comment at the front, or 0.
func skipped(sql string) int {
	switch {
	case sql[0] <= ' ':
		return 1
	case strings.HasPrefix(sql, "--"):
		line, _, _ := strings.Cut(sql, "\n")
		return len(line)
	case strings.HasPrefix(sql, "/*"):
		return blockCommentEnd(sql)
	}
	return 0
}

// constantEnd returns the length of a string constant at the front, or 0.
func constantEnd(sql string) int {
	switch {
	case sql[0] == '\'':
		return quotedEnd(sql, '\'', false)
	case strings.HasPrefix(sql, "e'"), strings.HasPrefix(sql, "E'"):
		return 1 + quotedEnd(sql[1:], '\'', true)
	case sql[0] == '$':
		return dollarQuoteEnd(sql)
	}
	return 0
}

// isWordByte accepts every byte of a letter beyond ASCII, as PostgreSQL does.
func isWordByte(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quotedEnd returns the index after the closing quote of a text that begins with one; a doubled quote does not close,
// nor does one after a backslash where those escape.
func quotedEnd(sql string, quote byte, backslash bool) int {
	for i := 1; i < len(sql); i++ {
		switch {
		case backslash && sql[i] == '\\':
			i++
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case sql[i] == quote:
			return i + 1
		}
	}
	return len(sql)
}

// blockCommentEnd knows that comments nest in PostgreSQL.
func blockCommentEnd(sql string) int {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(sql)
}

// dollarQuoteEnd returns the index after a constant such as $$...$$ or $body$...$body$, or 0 if there is none.
func dollarQuoteEnd(sql string) int {
	i := 1
	for i < len(sql) && isWordByte(sql[i]) {
		i++
	}
	if i >= len(sql) || sql[i] != '$' || i > 1 && sql[1] >= '0' && sql[1] <= '9' {
		return 0
	}
	tag := sql[:i+1]
	end := strings.Index(sql[len(tag):], tag)
	if end < 0 {
		return len(sql)
	}
	return end + 2*len(tag)
}
