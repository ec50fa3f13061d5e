package category

import "testing"

func TestC23Slugs(t *testing.T) {
	for text, want := range map[string]string{
		"Music":                     "music",
		"  Dances & More  ":         "dances-more",
		"a_b - c":                   "a-b-c",
		"--Études, op. 10--":        "etudes-op-10",
		"Dvořák":                    "dvorak",
		"♫":                         "",
		"":                          "",
		"tab\tand\nbreak":           "tab-and-break",
		"<script>alert(1)</script>": "scriptalert1script",
	} {
		if got := slugOf(text); got != want || (got != "" && !slugForm.MatchString(got)) {
			t.Errorf("slugOf(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestIsBelow(t *testing.T) {
	all := []Category{{ID: "a"}, {ID: "b", Fields: Fields{ParentID: new("a")}}, {ID: "c", Fields: Fields{ParentID: new("b")}}}
	loop := []Category{{ID: "a", Fields: Fields{ParentID: new("b")}}, {ID: "b", Fields: Fields{ParentID: new("a")}}}
	for name, tc := range map[string]struct {
		all     []Category
		id, top string
		want    bool
	}{
		"itself":                     {all: all, id: "a", top: "a", want: true},
		"below":                      {all: all, id: "c", top: "a", want: true},
		"above":                      {all: all, id: "a", top: "c"},
		"a loop ends, and is beyond": {all: loop, id: "a", top: "c", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isBelow(tc.all, tc.id, tc.top); got != tc.want {
				t.Errorf("%t, want %t", got, tc.want)
			}
		})
	}
}
