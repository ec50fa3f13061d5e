package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth is how deep a body may be nested; no resource needs a quarter of it.
const maxDepth = 64

// scope is an object or array that is open while a body is read.
type scope struct {
	// names are those that the object has so far; nil in an array.
	names map[string]bool
	// wantsName says that the next text is a name and not a value.
	wantsName bool
}

// checkNames refuses a body in which an object has a name twice: readers disagree on which of the two counts, so what
// one of them checked is not what another one uses. It also bounds how deep the body is nested.
func checkNames(body []byte) error {
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
			open = append(open, scope{names: map[string]bool{}, wantsName: true})
		case json.Delim('['):
			open = append(open, scope{})
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
	if len(open) == 1 {
		known = strings.ToLower(name) // the fields of a resource are found whatever their case
	}
	if inner.names[known] {
		return invalidBody(shorten(name, 64), "repeated", "must be given once")
	}
	inner.names[known] = true
	return nil
}

// valueRead tells the innermost object that a name follows.
func valueRead(open []scope) {
	if len(open) > 0 && open[len(open)-1].names != nil {
		open[len(open)-1].wantsName = true
	}
}
