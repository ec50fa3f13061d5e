//go:build !race

package edge_test

const raceCost = 0
