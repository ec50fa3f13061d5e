package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says whose pages may call. The zero value says nobody's.
type CORS struct {
	// Origins are those whose pages may call, such as "https://example.org", or AnyOrigin.
	Origins []string
	// MaxAge is how long browsers may remember it, in whole seconds.
	MaxAge time.Duration
}

// AnyOrigin among the origins lets pages of every origin call, without credentials that browsers add by themselves.
const AnyOrigin = "*"

// What pages of other origins may send and read.
var (
	corsMethods = strings.Join([]string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}, ", ")
	corsRequestHeaders = strings.Join([]string{
		"Content-Type", "Authorization", RequestIDHeader, IdempotencyKeyHeader, "If-Match", "If-None-Match",
	}, ", ")
	corsAnswerHeaders = strings.Join([]string{
		RequestIDHeader, "ETag", "Location", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
		"X-Cache", ReplayedHeader, "Server-Timing",
	}, ", ")
)

// crossOrigin lets pages of the origins call the API. To others it says nothing, so that their browsers keep the answer from them.
func crossOrigin(policy func() CORS, next http.Handler) http.Handler {
	if policy == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cors := policy()
		if len(cors.Origins) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		h, origin := w.Header(), r.Header.Get("Origin")
		h.Add("Vary", "Origin")
		switch {
		case origin == "":
			next.ServeHTTP(w, r)
			return
		case slices.Contains(cors.Origins, origin):
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
		case slices.Contains(cors.Origins, AnyOrigin):
			h.Set("Access-Control-Allow-Origin", AnyOrigin)
		default:
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			h.Set("Access-Control-Expose-Headers", corsAnswerHeaders)
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsRequestHeaders)
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(cors.MaxAge.Seconds())))
		w.WriteHeader(http.StatusNoContent)
	})
}
