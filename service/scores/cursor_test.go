package scores

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever text is given: it is refused, or it is exactly what the service itself would write for that place.
func FuzzCursor(f *testing.F) {
	const id = "0b6d1f9e-8a3e-4d61-9f5a-0d7d0c9a5b11"
	for _, sort := range sorts() {
		value := "2026-01-02T03:04:05.678901Z"
		if sort == ByDifficultyLevel {
			value = "7"
		}
		f.Add(newCursor(ListQuery{Sort: sort}, Position{ID: id, Value: &value}))
		f.Add(newCursor(ListQuery{Sort: sort, Descending: true}, Position{ID: id}))
	}
	f.Add("e30")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			return
		}
		again := newCursor(ListQuery{Sort: c.Sort, Descending: c.Descending}, Position{ID: c.ID, Value: c.Value})
		if diff := cmp.Diff(text, again); diff != "" {
			t.Errorf("(-given +written):\n%s", diff)
		}
	})
}
