//go:build !race

package release

const defaultHistories = 100_000
