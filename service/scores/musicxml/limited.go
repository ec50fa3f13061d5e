package musicxml

import (
	"errors"
	"io"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

// limited hands bytes to a decoder of XML, and ends when a token or the whole is too long.
type limited struct {
	r      io.Reader
	buffer [32 << 10]byte
	// at and end are where in the buffer that lies which is still to be handed on. They are numbers, since they move with each byte.
	at, end int
	total   int64
	// token is how many bytes the present token has so far.
	token int
	// ended says that r has.
	ended bool
	err   error
}

// ReadByte makes the decoder read without a buffer of its own, so that the bytes of a token can be counted.
func (l *limited) ReadByte() (byte, error) {
	if l.at == l.end {
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
	if l.token++; l.token > maxToken {
		return 0, errToken
	}
	b := l.buffer[l.at]
	l.at++
	return b, nil
}

// Read is there because a decoder asks for a reader; it reads by ReadByte.
func (l *limited) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := l.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

func (l *limited) fill() error {
	for l.err == nil && l.at == l.end {
		l.at = 0
		l.end, l.err = l.r.Read(l.buffer[:])
		l.total += int64(l.end)
		l.ended = errors.Is(l.err, io.EOF)
		if l.total > maxSize {
			l.end, l.err = 0, refusal.New(refusal.TooLarge, "The score is larger than %d MiB", maxSize>>20)
		}
	}
	if l.at < l.end {
		return nil
	}
	return l.err
}
