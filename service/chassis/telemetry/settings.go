package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/settings"
)

// settingsGauges say which settings are in force.
type settingsGauges struct {
	generation, rejected, failing prometheus.Gauge
}

func newSettingsGauges(registry *prometheus.Registry) settingsGauges {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	g := settingsGauges{
		generation: gauge(contract.SettingsGenerationMetric, "Generation of the settings in force; 0 before there was a good one."),
		rejected:   gauge(contract.SettingsRejectedMetric, "Generation of the settings that are wanted and were refused; 0 if there is none."),
		failing:    gauge(contract.SettingsErrorMetric, "1 while the settings that are wanted are not in force, else 0."),
	}
	registry.MustRegister(g.generation, g.rejected, g.failing)
	return g
}

// SettingsChanged implements settings.Observer.
func (m *Metrics) SettingsChanged(state settings.State) {
	m.settings.generation.Set(float64(state.Generation))
	m.settings.rejected.Set(float64(state.Rejected))
	failing := 0.0
	if state.Error != "" {
		failing = 1
	}
	m.settings.failing.Set(failing)
}
