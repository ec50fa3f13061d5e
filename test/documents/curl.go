package documents

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// flags of curl that take a value, and what it is for.
var flags = map[string]func(call *Call, value string) error{
	"-X":            func(call *Call, value string) error { call.Method = value; return nil },
	"-o":            func(call *Call, value string) error { call.Output = value; return nil },
	"-F":            func(call *Call, value string) error { call.Form = value; return nil },
	"-d":            setBody,
	"--data-binary": setBody,
	"-H": func(call *Call, value string) error {
		name, value, found := strings.Cut(value, ": ")
		if !found {
			return fmt.Errorf("the header %s has no value", name)
		}
		call.Header.Add(name, value)
		return nil
	},
}

func setBody(call *Call, value string) error {
	if name, isFile := strings.CutPrefix(value, "@"); isFile {
		call.BodyFile = name
	} else {
		call.Body = value
	}
	return nil
}

// switches of curl change nothing of what is sent.
var switches = []string{"-s", "-f", "-sf"}

// Curl takes a curl command apart. It knows the flags that the documents use, and refuses others, which may be wrong or only new here.
func (c Command) Curl() (Call, error) {
	call := Call{Header: http.Header{}}
	for args := c.Args(); len(args) > 0; args = args[1:] {
		set, takesValue := flags[args[0]]
		switch {
		case slices.Contains(switches, args[0]):
		case takesValue && len(args) > 1:
			if err := set(&call, args[1]); err != nil {
				return call, err
			}
			args = args[1:]
		case strings.HasPrefix(args[0], "-"):
			return call, fmt.Errorf("%s is a flag of curl that this test does not know, or lacks its value", args[0])
		case call.URL != "":
			return call, errors.New("there are two addresses")
		default:
			call.URL = args[0]
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
