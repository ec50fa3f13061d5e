package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// answerReader reads answers of HTTP/1.1 (RFC 9112) and keeps their status alone. That of net/http makes a map of the header, which
// costs as much as a server spends on a read from memory; the servers run on the same processors, and the one that sends the
// longer header would pay for it. It belongs to one connection.
type answerReader struct{ *bufio.Reader }

// next reads one answer to its end. The connection is of no use after an error.
func (r answerReader) next() (status int, err error) {
	line, err := r.line()
	if err != nil {
		return 0, fmt.Errorf("reading: %w", err)
	}
	_, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if status, err = strconv.Atoi(string(code)); err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("reading: %q is no status of HTTP/1.1", line)
	}
	length, chunked, err := r.header()
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the header: %w", err)
	case chunked:
		err = r.chunks()
	case length > 0:
		_, err = r.Discard(length)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the body: %w", err)
	}
	return status, nil
}

// line is the next line without its end; it holds until the next read.
func (r answerReader) line() ([]byte, error) {
	line, err := r.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// header reads all lines of the header and returns how long the body is, or that it comes in chunks.
func (r answerReader) header() (length int, chunked bool, err error) {
	for {
		line, err := r.line()
		if err != nil || len(line) == 0 {
			return length, chunked, err
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, false, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
		}
	}
}

// chunks reads a body that comes in chunks, and what trails it.
func (r answerReader) chunks() error {
	for {
		line, err := r.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil {
			return err
		}
		if n == 0 {
			_, _, err := r.header()
			return err
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)+2); err != nil {
			return err
		}
	}
}
