package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// AnyOrigin in Options.Origins lets pages of every origin call, without credentials that browsers add by themselves.
const AnyOrigin = "*"

// What pages of other origins may send and read, and how many seconds browsers may remember it.
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

const corsMaxAge = "86400"

// crossOrigin lets pages of the origins call the API. To others it says nothing, so that their browsers keep the answer from them.
func crossOrigin(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	anyone := slices.Contains(origins, AnyOrigin)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, origin := w.Header(), r.Header.Get("Origin")
		h.Add("Vary", "Origin")
		switch {
		case origin == "":
			next.ServeHTTP(w, r)
			return
		case slices.Contains(origins, origin):
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
		case anyone:
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
		h.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
	})
}
