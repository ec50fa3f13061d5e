//go:build race

package edge_test

// raceCost is how often more memory is taken under the race detector, which drops some of what is kept for reuse.
const raceCost = 20
