//go:build race

package release

// With the race detector a history takes four times as long.
const defaultHistories = 25_000
