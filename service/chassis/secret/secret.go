// Package secret reads values that must not be seen, such as database URLs and signing keys. It owns where they come from
// (a file, or a plain value for development) and that they are never printed. It does not judge what they hold.
package secret

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Source is where one secret comes from. The zero value is a secret that was not given. A Source may be copied and
// used by several goroutines.
type Source struct {
	path  string
	value string
}

// FromFile returns a source that reads the file at each call of Read, so that a secret replaced in place is seen.
func FromFile(path string) Source { return Source{path: path} }

// FromValue returns a source that always yields the value.
func FromValue(value string) Source { return Source{value: value} }

// Given reports whether the secret has a place to come from. It does not say that the place holds something.
func (s Source) Given() bool { return s.path != "" || s.value != "" }

// Read returns the secret without the line break that editors leave at the end of a file. Errors name the file and
// never hold any of its content; a file that is absent satisfies errors.Is(err, os.ErrNotExist).
func (s Source) Read() (string, error) {
	if s.path == "" {
		return s.value, nil
	}
	raw, err := os.ReadFile(s.path)
	if err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return "", fmt.Errorf("reading the secret file %s: %w", s.path, err)
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

// String names the source without telling the secret, so that a Source may stand in a printed configuration.
func (s Source) String() string {
	switch {
	case s.path != "":
		return "file " + s.path
	case s.value != "":
		return "(hidden)"
	}
	return "(not given)"
}

// GoString keeps %#v from showing the value.
func (s Source) GoString() string { return s.String() }

// LogValue keeps slog from showing the value.
func (s Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
