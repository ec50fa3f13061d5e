package telemetry

import (
	"fmt"
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes one JSON object a line, each with the process's identity. The level may be
// changed while it is in use. To Lines it writes as they say.
func NewLogger(w io.Writer, level slog.Leveler, info Info) *slog.Logger {
	var handler slog.Handler = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	if lines, ok := w.(*Lines); ok {
		handler = lineHandler{json: handler, lines: lines}
	}
	return slog.New(handler).With(
		"service", info.Service, "version", info.Version, "environment", info.Environment, "release", info.Release)
}

// ParseLevel reads a level from its name in a configuration: debug, info, warn or error.
func ParseLevel(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is none of debug, info, warn, error", name)
}
