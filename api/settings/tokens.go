package settings

import "time"

// Tokens are how long sessions last. A change holds for tokens that are issued from then on.
//
// +kubebuilder:validation:XValidation:rule="!has(self.accessTTL) || !has(self.refreshTTL) || duration(self.accessTTL) <= duration(self.refreshTTL)",message="accessTTL must not be longer than refreshTTL"
type Tokens struct {
	// accessTTL is how long an access token holds, 1m to 24h. Default: 15m. An access token cannot be taken back, so this is how
	// long a lost one can be used.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="must be from 1m to 24h"
	AccessTTL *Duration `json:"accessTTL,omitempty"`
	// refreshTTL is how long a session lasts in which nothing happens, 1h to 8760h. Default: 720h, 30 days.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('8760h')",message="must be from 1h to 8760h"
	RefreshTTL *Duration `json:"refreshTTL,omitempty"`
}

func defaultTokens() *Tokens {
	return &Tokens{AccessTTL: pointer(Duration(15 * time.Minute)), RefreshTTL: pointer(Duration(30 * 24 * time.Hour))}
}

func (t *Tokens) validate(p place) {
	if t == nil {
		return
	}
	p.field("accessTTL").duration(t.AccessTTL, Duration(time.Minute), Duration(24*time.Hour))
	p.field("refreshTTL").duration(t.RefreshTTL, Duration(time.Hour), Duration(365*24*time.Hour))
	p.field("accessTTL").demand(t.AccessTTL == nil || t.RefreshTTL == nil || *t.AccessTTL <= *t.RefreshTTL,
		"must not be longer than refreshTTL")
}
