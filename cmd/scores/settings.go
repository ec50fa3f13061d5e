package main

import (
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/accounts"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	live "github.com/mirubato/mirubato/service/chassis/settings"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// settingsEvery is how often settings are read without having been told that they changed.
const settingsEvery = 5 * time.Second

// openSettings reads the live settings; level follows them from then on.
func openSettings(cfg Config, level *slog.LevelVar, metrics *telemetry.Metrics, logger *slog.Logger) *live.Live {
	current := live.Open(live.Config{
		Dir: cfg.SettingsDir, GenerationFile: cfg.SettingsGenerationFile, Base: baseSettings(cfg), Every: settingsEvery,
		Observer: metrics, Logger: logger,
	})
	current.Subscribe(func(s settings.Settings) {
		if wanted, err := telemetry.ParseLevel(string(*s.Logging.Level)); err == nil { // it was validated
			level.Set(wanted)
		}
	})
	return current
}

// baseSettings are the defaults and what the process was started with.
func baseSettings(cfg Config) settings.Settings {
	level := settings.LogInfo
	switch cfg.LogLevel {
	case slog.LevelDebug:
		level = settings.LogDebug
	case slog.LevelWarn:
		level = settings.LogWarn
	case slog.LevelError:
		level = settings.LogError
	}
	base, timeout := settings.Default(), settings.Duration(cfg.RequestTimeout)
	statement := min(*base.Resilience.Database.Timeout, timeout)
	return settings.Merge(settings.Merge(base, settings.Settings{
		CORS: &settings.CORS{Origins: cfg.Origins}, Logging: &settings.Logging{Level: &level},
		Resilience: &settings.Resilience{RequestTimeout: &timeout, Database: &settings.Protection{Timeout: &statement}},
	}), cfg.BaseSettings)
}

// tokenLives are how long tokens are good that are issued now.
func tokenLives(current *live.Live) func() accounts.Lives {
	return func() accounts.Lives {
		t := current.Current().Tokens
		return accounts.Lives{Access: t.AccessTTL.Std(), Refresh: t.RefreshTTL.Std()}
	}
}

// whosePages are the origins that may call now.
func whosePages(current *live.Live) func() httpapi.CORS {
	return func() httpapi.CORS {
		c := current.Current().CORS
		return httpapi.CORS{Origins: c.Origins, MaxAge: c.MaxAge.Std()}
	}
}
