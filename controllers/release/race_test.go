//go:build race

package release

// With the race detector a history takes several times as long; hack/tools/go-test plays all of them without it.
const defaultHistories = 4_000
