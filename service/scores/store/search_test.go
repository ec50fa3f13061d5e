package store_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/scores"
)

// Whatever text the API lets through is a search, never a statement and never an error, and shows nobody's private scores.
func FuzzSearch(f *testing.F) {
	for _, text := range []string{
		"satie", "É", "o'neill", `\`, `'\''`, "a:*", "a & !b | (c)", "<->", "'a':1A", "--", "; drop table scores", "%_", "ŁØß", "1e9", "-1.5",
		"http://a.b/c?d=e", "a@b.c", "a-b-c", "\u0301", "🎼", strings.Repeat("a ", 100), strings.Repeat("x", 200), "ﬁ", "Ⅻ", "㍿",
	} {
		f.Add(text)
	}
	st, _ := newStore(f)
	insert(f, st, score("alice", "private"), score("alice", "public", visible(scores.Public)))
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || utf8.RuneCountInString(text) > scores.MaxSearchText || strings.ContainsFunc(text, unicode.IsControl) {
			return
		}
		found, err := st.Search(t.Context(), text, scores.Filter{ListQuery: scores.ListQuery{Limit: 5}, Selection: scores.Selection{Reader: "bob"}})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		for _, c := range found {
			if c.Visibility != scores.Public {
				t.Errorf("%q finds %q", text, c.Title)
			}
		}
	})
}
