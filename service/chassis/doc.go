// Package chassis is the directory of everything that a service needs and that is not about its subject; it holds no
// code itself. Its packages know nothing of any service built on them. The example in its tests is a whole service, and
// docs/new-service.md walks through it.
package chassis
