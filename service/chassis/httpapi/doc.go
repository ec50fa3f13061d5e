// Package httpapi is how a service speaks HTTP: one envelope for every answer, one encoder for every error, strict
// decoding of every body, and the middlewares that each request passes. It owns status codes, headers and shapes; it
// owns no rule of a domain and does not know who the caller is.
//
// A request passes, in this order: record and access log, recovery, standard headers, deadline and body limit
// (Middleware); the Router; what a route adds, such as authentication; and Handle, which decodes, calls and encodes.
package httpapi
