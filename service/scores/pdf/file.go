package pdf

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

const (
	// maxObject is the largest object that is read, without the stream that may belong to it.
	maxObject = 1 << 20
	// maxStream is the largest stream that is read, decompressed. A million objects need 7 MiB.
	maxStream = 8 << 20
	// maxInflated is how much is decompressed of a file together.
	maxInflated = 128 << 20
	// maxObjects is how many objects are read.
	maxObjects = 200_000
	// maxIndirections is how many references may lead to each other.
	maxIndirections = 8
)

// file is a PDF of which objects are read when they are asked for.
type file struct {
	r    io.ReaderAt
	size int64
	// base is where the file begins; offsets count from there.
	base     int64
	sections []section
	trailer  dictionary
	// seen are the tables that were read, so that none is read twice.
	seen map[int64]bool
	// inflatable and readable are what is left of the work that a file may make.
	inflatable int64
	readable   int
	// kept is the last object stream, and its number: objects beside each other are read one after the other.
	kept       stream
	keptNumber int64
}

// stream is an object with data.
type stream struct {
	dictionary
	data []byte
}

// bytes reads at most so many bytes, fewer at the end of the file.
func (f *file) bytes(at int64, most int) ([]byte, error) {
	if at < 0 || at >= f.size {
		return nil, nil
	}
	b := make([]byte, min(int64(most), f.size-at))
	n, err := f.r.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n], nil
}

// parse calls read with what lies at a place, and again with more of it when that was too little.
func (f *file) parse(at int64, read func(*lexer) error) error {
	if f.readable--; f.readable < 0 {
		return tooMany()
	}
	for most := 1 << 10; ; most *= 8 {
		data, err := f.bytes(at, min(most, maxObject))
		if err != nil {
			return err
		}
		err = read(&lexer{data: data})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errSyntax):
			return damaged("there is no object where there should be one")
		case !errors.Is(err, errMore):
			return err
		case int64(len(data)) >= f.size-at:
			return refusal.New(refusal.Truncated, "The PDF ends in the middle of an object")
		case most >= maxObject:
			return refusal.New(refusal.TooLarge, "The PDF has an object of more than %d MiB", maxObject>>20)
		}
	}
}

func tooMany() error { return refusal.New(refusal.TooLarge, "The PDF has more objects than are read") }

// indirect reads the object that lies at a place, "1 0 obj", and where the data of its stream begin, -1 without a stream.
func (f *file) indirect(at int64) (object any, data int64, err error) {
	err = f.parse(at, func(l *lexer) (err error) {
		_, first := l.integer()
		_, second := l.integer()
		if !first || !second || !l.keyword("obj") {
			if l.space(); l.at >= len(l.data) {
				return errMore
			}
			return errSyntax
		}
		if object, err = l.object(0); err != nil {
			return err
		}
		l.space()
		if len(l.data)-l.at < len("stream\r\n") {
			if int64(len(l.data)) < f.size-at {
				return errMore
			}
		}
		data = -1
		if l.keyword("stream") {
			rest := l.data[l.at:]
			l.at += len(rest) - len(bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n")))
			data = at + int64(l.at)
		}
		return nil
	})
	return object, data, err
}

// streamAt reads an object with its data, decompressed.
func (f *file) streamAt(at int64, depth int) (stream, error) {
	object, data, err := f.indirect(at)
	if err != nil {
		return stream{}, err
	}
	d, ok := object.(dictionary)
	if !ok || data < 0 {
		return stream{}, damaged("there is no stream where there should be one")
	}
	length, err := f.number(d["Length"], depth+1)
	if err != nil {
		return stream{}, err
	}
	if length < 0 || data+int64(length) > f.size {
		return stream{}, refusal.New(refusal.Truncated, "The PDF ends in the middle of a stream")
	}
	raw := io.NewSectionReader(f.r, data, int64(length))
	decoded, err := f.decode(d, raw)
	return stream{dictionary: d, data: decoded}, err
}

// decode undoes the compression of a stream. Tables and object streams are compressed in one way only, by all programs.
func (f *file) decode(d dictionary, raw io.Reader) ([]byte, error) {
	filter, parameters := d["Filter"], d["DecodeParms"]
	if list, ok := filter.(array); ok && len(list) == 1 {
		filter = list[0]
		if p, ok := parameters.(array); ok && len(p) == 1 {
			parameters = p[0]
		}
	}
	switch filter {
	case nil:
	case name("FlateDecode"), name("Fl"):
		inflated, err := zlib.NewReader(raw)
		if err != nil {
			return nil, streamError(err)
		}
		raw = inflated
	default:
		return nil, refusal.New(refusal.Unsupported, "The PDF compresses its table of objects in a way that is not read")
	}
	data, err := io.ReadAll(io.LimitReader(raw, maxStream+1))
	if err != nil {
		return nil, streamError(err)
	}
	f.inflatable -= int64(len(data))
	if len(data) > maxStream || f.inflatable < 0 {
		return nil, refusal.New(refusal.TooLarge, "The PDF grows too large when it is decompressed")
	}
	p, _ := parameters.(dictionary)
	return unpredict(data, p)
}

func streamError(err error) error {
	return refusal.New(refusal.Malformed, "The PDF is damaged: a stream cannot be decompressed").Because(err)
}

// unpredict undoes the predictors of PNG, by which tables are made more compressible.
func unpredict(data []byte, p dictionary) ([]byte, error) {
	predictor, _ := p["Predictor"].(float64)
	if predictor < 10 {
		return data, nil
	}
	columns, ok := p["Columns"].(float64)
	if !ok {
		columns = 1
	}
	if columns < 1 || columns > 1024 {
		return nil, damaged("a stream says that it is a picture")
	}
	width := int(columns)
	before := make([]byte, width)
	out := data[:0]
	for len(data) > 0 {
		kind := data[0]
		row := data[1:min(len(data), width+1)]
		data = data[1+len(row):]
		unfilter(kind, row, before)
		before = append(before[:0], row...)
		before = append(before, make([]byte, width-len(row))...)
		out = append(out, row...)
	}
	return out, nil
}

// unfilter restores a row of single bytes by the one before.
func unfilter(kind byte, row, before []byte) {
	var left, corner byte
	for i := range row {
		up := before[i]
		switch kind {
		case 1:
			row[i] += left
		case 2:
			row[i] += up
		case 3:
			row[i] += byte((int(left) + int(up)) / 2) //nolint:gosec // a mean of two bytes is one
		case 4:
			row[i] += paeth(left, up, corner)
		}
		left, corner = row[i], up
	}
}

func paeth(left, up, corner byte) byte {
	guess := int(left) + int(up) - int(corner)
	distance := func(b byte) int { return max(guess-int(b), int(b)-guess) }
	switch {
	case distance(left) <= distance(up) && distance(left) <= distance(corner):
		return left
	case distance(up) <= distance(corner):
		return up
	default:
		return corner
	}
}
