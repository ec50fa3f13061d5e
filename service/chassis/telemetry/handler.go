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
	var room [16]slog.Attr
	attrs := room[:0]
	r.Attrs(func(attr slog.Attr) bool {
		attrs = append(attrs, attr)
		return true
	})
	return h.HandleAttrs(ctx, r.Time, r.Level, r.Message, attrs)
}

// HandleAttrs is Handle for a record that need not be made.
func (h lineHandler) HandleAttrs(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error {
	var room [1024]byte // most lines fit, and then no memory is taken
	line, plain := h.appendPlain(room[:0], at, level, message, attrs)
	var err error
	if plain {
		_, err = h.lines.Write(line)
	} else {
		r := slog.NewRecord(at, level, message, 0)
		r.AddAttrs(attrs...)
		err = h.json.Handle(ctx, r)
	}
	if level >= slog.LevelWarn {
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
func (h lineHandler) appendPlain(line []byte, at time.Time, level slog.Level, message string, attrs []slog.Attr) (_ []byte, plain bool) {
	if year := at.Year(); h.grouped || at.IsZero() || year < 0 || year > 9999 || !isPlain(message) {
		return line, false
	}
	line = append(at.AppendFormat(append(line, `{"time":"`...), time.RFC3339Nano), `","level":"`...)
	line = append(append(line, level.String()...), `","msg":"`...)
	line = append(append(line, message...), '"')
	line = append(line, h.before...)
	for _, attr := range attrs {
		if line, plain = appendPlainAttr(line, attr); !plain {
			return line, false
		}
	}
	return append(line, "}\n"...), true
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
