package settings

// Logging is what is written to the log.
type Logging struct {
	// level below which nothing is written. Default: what the service was started with, else info.
	// +optional
	Level *LogLevel `json:"level,omitempty"`
}

// LogLevel is how important a line of the log must be to be written.
//
// +kubebuilder:validation:Enum=debug;info;warn;error
type LogLevel string

// The levels, from most lines to fewest.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

func defaultLogging() *Logging { return &Logging{Level: pointer(LogInfo)} }

func (l *Logging) validate(p place) {
	if l == nil || l.Level == nil {
		return
	}
	switch *l.Level {
	case LogDebug, LogInfo, LogWarn, LogError:
	default:
		p.field("level").demand(false, "must be debug, info, warn or error")
	}
}
