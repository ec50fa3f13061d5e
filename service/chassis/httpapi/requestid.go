package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
)

// RequestIDHeader carries the identity of a request in both directions.
const RequestIDHeader = "X-Request-ID"

// canonicalRequestID is how http.Header spells it; asking for another spelling costs memory.
var canonicalRequestID = http.CanonicalHeaderKey(RequestIDHeader)

const maxRequestID = 128

// requestID returns the identity that the client proposes if it is safe to log and to echo, else a new random one.
func requestID(proposed string) string {
	if isRequestID(proposed) {
		return proposed
	}
	var b [16]byte
	// crypto/rand never returns an error; it ends the program when the system has no randomness.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func isRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=':
		default:
			return false
		}
	}
	return true
}
