package settings

import "time"

// Cache is how much is kept of what was answered or read before, and for how long. What is changed through the service is shown at once
// all the same: a time only bounds how long other causes, such as the number of reads of a score, go unnoticed.
type Cache struct {
	// browser is what browsers keep.
	// +optional
	Browser *BrowserCache `json:"browser,omitempty"`
	// edge is what everybody may see: whole answers, kept in each pod and by caches in front of the service such as a CDN. Default:
	// 32 MiB, 1m, stale 30s meanwhile and 10m in bad times.
	// +optional
	Edge *CacheLayer `json:"edge,omitempty"`
	// application is single things read from the database. Default: 64 MiB, 5m, stale 1m meanwhile and 1h in bad times.
	// +optional
	Application *CacheLayer `json:"application,omitempty"`
	// query is lists and counts read from the database, those of scores for each caller. Default: 64 MiB, 30s, stale 30s meanwhile and
	// 10m in bad times.
	// +optional
	Query *CacheLayer `json:"query,omitempty"`
}

// BrowserCache is what browsers keep.
type BrowserCache struct {
	// maxAge is how long a browser may show again what everybody may see, without asking, 0s to 24h. Default: 0s; it then asks each
	// time, and is told in few bytes that nothing changed. What is one caller's own is always asked for.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be from 0s to 24h"
	MaxAge *Duration `json:"maxAge,omitempty"`
}

// CacheLayer is how much one kind of cache keeps, and for how long.
type CacheLayer struct {
	// sizeMiB is the memory for values in each pod in MiB, 0 to 4096; 0 turns the cache off. Changing it empties the cache.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4096
	SizeMiB *int32 `json:"sizeMiB,omitempty"`
	// ttl is how long a value is used as it is, 1s to 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be from 1s to 24h"
	TTL *Duration `json:"ttl,omitempty"`
	// staleWhileRevalidate is how long after that a value is used once more while it is read again, 0s to 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be from 0s to 24h"
	StaleWhileRevalidate *Duration `json:"staleWhileRevalidate,omitempty"`
	// staleIfError is how long after ttl a value is used while the database is away, 0s to 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be from 0s to 24h"
	StaleIfError *Duration `json:"staleIfError,omitempty"`
}

const (
	maxCacheSize = 4096
	maxCacheTime = Duration(24 * time.Hour)
)

func defaultCache() *Cache {
	layer := func(size int32, ttl, meanwhile, away time.Duration) *CacheLayer {
		return &CacheLayer{
			SizeMiB: &size, TTL: pointer(Duration(ttl)),
			StaleWhileRevalidate: pointer(Duration(meanwhile)), StaleIfError: pointer(Duration(away)),
		}
	}
	return &Cache{
		Browser:     &BrowserCache{MaxAge: pointer(Duration(0))},
		Edge:        layer(32, time.Minute, 30*time.Second, 10*time.Minute),
		Application: layer(64, 5*time.Minute, time.Minute, time.Hour),
		Query:       layer(64, 30*time.Second, 30*time.Second, 10*time.Minute),
	}
}

func (c *Cache) validate(p place) {
	if c == nil {
		return
	}
	if c.Browser != nil {
		p.field("browser.maxAge").duration(c.Browser.MaxAge, 0, maxCacheTime)
	}
	c.Edge.validate(p.field("edge"))
	c.Application.validate(p.field("application"))
	c.Query.validate(p.field("query"))
}

func (l *CacheLayer) validate(p place) {
	if l == nil {
		return
	}
	p.field("sizeMiB").number(l.SizeMiB, 0, maxCacheSize)
	p.field("ttl").duration(l.TTL, Duration(time.Second), maxCacheTime)
	p.field("staleWhileRevalidate").duration(l.StaleWhileRevalidate, 0, maxCacheTime)
	p.field("staleIfError").duration(l.StaleIfError, 0, maxCacheTime)
}
