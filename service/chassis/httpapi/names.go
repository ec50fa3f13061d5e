package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep a body may be nested; no resource needs a quarter of it.
const maxDepth = 64

// scope is an object or array that is open while a body is read.
type scope struct {
	// names are those that the object has so far; nil in an array.
	names map[string]bool
	// into is what the object or array is read into; nil where anything may stand.
	into reflect.Type
	// last is the name that was read last.
	last string
	// wantsName says that the next text is a name and not a value.
	wantsName bool
}

// checkNames refuses a body in which an object has a name twice: readers disagree on which of the two counts, so what
// one of them checked is not what another one uses. The fields of a struct are found whatever their case, so that there
// names that differ in nothing else are the same. It also bounds how deep the body is nested.
func checkNames(body []byte, into reflect.Type) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var open []scope
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return decodeFault(err)
		}
		switch token {
		case json.Delim('{'):
			open = append(open, scope{names: map[string]bool{}, wantsName: true, into: below(open, into)})
		case json.Delim('['):
			open = append(open, scope{into: below(open, into)})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
			valueRead(open)
		default:
			if err := readText(open, token); err != nil {
				return err
			}
		}
		if len(open) > maxDepth {
			return invalidBody("", "depth", fmt.Sprintf("The body must be nested at most %d levels deep", maxDepth))
		}
	}
}

// readText takes a token that is a name or a plain value.
func readText(open []scope, token json.Token) error {
	if len(open) == 0 || !open[len(open)-1].wantsName {
		valueRead(open)
		return nil
	}
	inner := &open[len(open)-1]
	inner.wantsName = false
	name, _ := token.(string)
	known := name
	if inner.into != nil && inner.into.Kind() == reflect.Struct {
		known = strings.ToLower(name)
	}
	inner.last = name
	if inner.names[known] {
		return invalidBody(pathOf(open), "repeated", "must be given once")
	}
	inner.names[known] = true
	return nil
}

// below is what the value that comes next is read into, or nil where anything may stand.
func below(open []scope, body reflect.Type) reflect.Type {
	if len(open) == 0 {
		return body
	}
	switch inner := open[len(open)-1]; {
	case inner.into == nil:
		return nil
	case inner.into.Kind() == reflect.Struct:
		for field := range inner.into.Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); strings.EqualFold(name, inner.last) {
				return meant(field.Type)
			}
		}
	case inner.into.Kind() == reflect.Slice:
		return meant(inner.into.Elem())
	}
	return nil
}

// meant looks through pointers and fields that may be absent. It returns nil for a type that reads its JSON itself.
func meant(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if absent, ok := reflect.Zero(t).Interface().(interface{ Element() any }); ok {
		return reflect.TypeOf(absent.Element())
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	return t
}

// pathOf is where a body is being read, as the names of the objects around it, dotted.
func pathOf(open []scope) string {
	var path []string
	for _, s := range open {
		if s.names != nil {
			path = append(path, s.last)
		}
	}
	return shorten(strings.Join(path, "."), 64)
}

// valueRead tells the innermost object that a name follows.
func valueRead(open []scope) {
	if len(open) > 0 && open[len(open)-1].names != nil {
		open[len(open)-1].wantsName = true
	}
}

// checkEscapes refuses a text with half a surrogate pair, which is no character: readers replace it or fail. The body is
// valid JSON.
func checkEscapes(body []byte) error {
	const escape = len(`\uFFFF`)
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++ // what is escaped is no backslash that begins another escape
		first := escaped(body, i-1)
		if !utf16.IsSurrogate(first) {
			continue
		}
		if utf16.DecodeRune(first, escaped(body, i-1+escape)) == utf8.RuneError {
			return invalidBody("", "text", `The body must not hold half a surrogate pair, such as \ud800`)
		}
		i += 2*escape - 2
	}
	return nil
}

// escaped is what the escape at a place of a valid body, such as \u00e9, stands for; -1 if there is none of this form.
func escaped(body []byte, at int) rune {
	const length = len(`\uFFFF`)
	if at+length > len(body) || body[at] != '\\' || body[at+1] != 'u' {
		return -1
	}
	code, err := strconv.ParseUint(string(body[at+2:at+length]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(code)
}
