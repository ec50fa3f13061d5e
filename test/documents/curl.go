package documents

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// A Call is what a curl command sends. Variables stand in it as $NAME.
type Call struct {
	Method string
	URL    string
	Header http.Header
	// Body is sent as it is, BodyFile is the name of a file that is, and Form is one field of a form with a file, as field=@name. No more
	// than one of them is set.
	Body, BodyFile, Form string
	// Output is the file that the answer goes to; empty for the screen.
	Output string
}

// Curl takes a curl command apart. It knows the flags that the documents use, and refuses others, which may be wrong or only new here.
func (c Command) Curl() (Call, error) {
	call := Call{Header: http.Header{}}
	args := c.Args()
	next := func() string {
		if len(args) == 0 {
			return ""
		}
		out := args[0]
		args = args[1:]
		return out
	}
	for len(args) > 0 {
		switch arg := next(); arg {
		case "-s", "-f", "-sf":
		case "-X":
			call.Method = next()
		case "-o":
			call.Output = next()
		case "-F":
			call.Form = next()
		case "-d", "--data-binary":
			value := next()
			if name, file := strings.CutPrefix(value, "@"); file {
				call.BodyFile = name
			} else {
				call.Body = value
			}
		case "-H":
			name, value, found := strings.Cut(next(), ": ")
			if !found {
				return call, errors.New("a header has no value")
			}
			call.Header.Add(name, value)
		default:
			if strings.HasPrefix(arg, "-") {
				return call, fmt.Errorf("%s is a flag of curl that this test does not know", arg)
			}
			if call.URL != "" {
				return call, errors.New("there are two addresses")
			}
			call.URL = arg
		}
	}
	if call.URL == "" {
		return call, errors.New("there is no address")
	}
	if call.Method == "" {
		call.Method = http.MethodGet
		if call.Body+call.BodyFile+call.Form != "" {
			call.Method = http.MethodPost
		}
	}
	return call, nil
}
