package telemetry

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"time"
)

// lineHandler is a slog.JSONHandler on Lines, after which lines of warnings and errors do not wait. What is made of plain texts and numbers
// alone, as the line of almost every request is, it writes by itself: the same bytes in about half the time (BenchmarkLine).
type lineHandler struct {
	json  slog.Handler
	lines *Lines
	// before are the attributes of all lines, as they are written; grouped says that they are the JSONHandler's alone.
	before  string
	grouped bool
}

// Enabled implements slog.Handler.
func (h lineHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.json.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h lineHandler) Handle(ctx context.Context, r slog.Record) error {
	var room [1024]byte // most lines fit, and then no memory is taken
	line, plain := h.appendPlain(room[:0], &r)
	var err error
	if plain {
		_, err = h.lines.Write(line)
	} else {
		err = h.json.Handle(ctx, r)
	}
	if r.Level >= slog.LevelWarn {
		if flushed := h.lines.Flush(); err == nil {
			err = flushed
		}
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	before, plain := []byte(h.before), !h.grouped
	for _, attr := range attrs {
		if plain {
			before, plain = appendPlainAttr(before, attr)
		}
	}
	return lineHandler{json: h.json.WithAttrs(attrs), lines: h.lines, before: string(before), grouped: !plain}
}

// WithGroup implements slog.Handler.
func (h lineHandler) WithGroup(name string) slog.Handler {
	return lineHandler{json: h.json.WithGroup(name), lines: h.lines, grouped: true}
}

// appendPlain appends the line of a record, and returns false if that is left to the JSONHandler.
func (h lineHandler) appendPlain(line []byte, r *slog.Record) (_ []byte, plain bool) {
	if h.grouped || r.Time.IsZero() || r.Time.Year() < 0 || r.Time.Year() > 9999 || !isPlain(r.Message) {
		return line, false
	}
	line = append(r.Time.AppendFormat(append(line, `{"time":"`...), time.RFC3339Nano), `","level":"`...)
	line = append(append(line, r.Level.String()...), `","msg":"`...)
	line = append(append(line, r.Message...), '"')
	line = append(line, h.before...)
	plain = true
	r.Attrs(func(attr slog.Attr) bool {
		line, plain = appendPlainAttr(line, attr)
		return plain
	})
	return append(line, "}\n"...), plain
}

// appendPlainAttr appends an attribute that is a plain text or a number, and returns false for any other.
func appendPlainAttr(line []byte, attr slog.Attr) (_ []byte, plain bool) {
	if attr.Key == "" || !isPlain(attr.Key) {
		return line, false
	}
	line = append(append(append(line, `,"`...), attr.Key...), `":`...)
	switch attr.Value.Kind() {
	case slog.KindString:
		text := attr.Value.String()
		return append(append(append(line, '"'), text...), '"'), isPlain(text)
	case slog.KindInt64:
		return strconv.AppendInt(line, attr.Value.Int64(), 10), true
	case slog.KindFloat64:
		number := attr.Value.Float64()
		// Others are written with an exponent, or are no JSON.
		return strconv.AppendFloat(line, number, 'f', -1, 64), number == 0 || math.Abs(number) >= 1e-6 && math.Abs(number) < 1e21
	}
	return line, false
}

// isPlain reports whether a text stands in JSON as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
