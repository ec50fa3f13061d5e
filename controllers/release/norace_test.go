//go:build !race

package release

const defaultHistories = 25_000
