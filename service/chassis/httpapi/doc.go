// Package httpapi is how a service speaks HTTP: one envelope for every answer, one encoder for every error, strict
// decoding of every body, and the middlewares that each request passes. It owns status codes, headers and shapes; it
// owns no rule of a domain and does not know who the caller is.
//
// A request passes, in this order: record, deadline and body limit, standard headers, access log, recovery, rules for pages of
// other origins (Middleware); the Router; what a route adds, such as authentication; and Handle, which decodes, calls and encodes.
package httpapi
