package validation_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/validation"
)

type form struct {
	Name  string   `json:"name" validate:"required,max=5,line"`
	Note  *string  `json:"note,omitempty" validate:"omitnil,lines"`
	Kind  string   `json:"kind" validate:"oneof=a b"`
	Level *int     `json:"level" validate:"omitnil,min=1,max=10"`
	Tags  []string `json:"tags" validate:"max=2,dive,min=1,max=3"`
}

func TestCheck(t *testing.T) {
	v := validation.New()
	for name, tc := range map[string]struct {
		form form
		want []fault.Detail
	}{
		"what keeps to the rules passes":   {form: form{Name: "four", Kind: "a", Note: new("two\nlines\t"), Level: new(10), Tags: []string{"x", "yyy"}}},
		"length is counted in characters":  {form: form{Name: "ééééé", Kind: "a"}},
		"everything wrong is said at once": {form: form{Name: "toolong", Kind: "c", Level: new(0)}, want: []fault.Detail{{Field: "name", Code: "max", Message: "must have at most 5 characters"}, {Field: "kind", Code: "one_of", Message: "must be one of a, b"}, {Field: "level", Code: "min", Message: "must be at least 1"}}},
		"what is missing is required":      {form: form{Kind: "b"}, want: []fault.Detail{{Field: "name", Code: "required", Message: "is required"}}},
		"a line has no line breaks":        {form: form{Name: "a\nb", Kind: "a"}, want: []fault.Detail{{Field: "name", Code: "text", Message: "must be text without control characters"}}},
		"text is in UTF-8":                 {form: form{Name: "\xff", Kind: "a"}, want: []fault.Detail{{Field: "name", Code: "text", Message: "must be text without control characters"}}},
		"lines have no other controls":     {form: form{Name: "a", Kind: "a", Note: new("\x00")}, want: []fault.Detail{{Field: "note", Code: "text", Message: "must be text without control characters other than line breaks and tabs"}}},
		"an entry is named by its place":   {form: form{Name: "a", Kind: "a", Tags: []string{"ok", ""}}, want: []fault.Detail{{Field: "tags[1]", Code: "min", Message: "must not be empty"}}},
		"a list may be too long":           {form: form{Name: "a", Kind: "a", Tags: []string{"a", "b", "c"}}, want: []fault.Detail{{Field: "tags", Code: "max", Message: "must have at most 2 entries"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, v.Check(tc.form)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
