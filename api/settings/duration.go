package settings

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a length of time, written as a text such as 500ms, 1s or 1h30m.
//
// +kubebuilder:validation:MaxLength=32
type Duration time.Duration

const maxDurationText = 32

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is the shortest text of whole units: 1m instead of 1m0s.
func (d Duration) String() string {
	text := d.Std().String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. The text is what time.ParseDuration takes, as in CEL.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || len(text) > maxDurationText {
		return fmt.Errorf("%.40q is no duration; write it like 500ms, 30s or 1h30m", text)
	}
	*d = Duration(parsed)
	return nil
}
