// Package resilience keeps a service answering while something that it depends on does not. It owns four protections of
// the calls to a dependency - retries under a budget, a circuit breaker, a bulkhead, and the time that one attempt may
// take - and the shedding of requests when the service itself has too many. It knows no dependency: who calls one says
// what an error tells about it. Which values hold is read again for each call, so that they change without a restart.
//
// The protections of a Shield lie in each other in this order:
//
//	retry( breaker( bulkhead( timeout( call ))))
//
// The breaker sees each attempt, so that it opens while the first caller is still trying; and a caller whom breaker or
// bulkhead refuses does not try again, since that would be more of what there is too much of.
package resilience
