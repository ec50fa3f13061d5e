package optional_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/optional"
)

type patch struct {
	Name  optional.Value[string]   `json:"name,omitzero"`
	Count optional.Value[int]      `json:"count,omitzero"`
	Tags  optional.Value[[]string] `json:"tags,omitzero"`
}

func TestRoundTrip(t *testing.T) {
	for name, tc := range map[string]struct {
		json string
		want patch
	}{
		"fields left out are not set":  {json: `{}`},
		"null is set and null":         {json: `{"name":null}`, want: patch{Name: optional.Null[string]()}},
		"a value is set":               {json: `{"name":"a","count":0}`, want: patch{Name: optional.Of("a"), Count: optional.Of(0)}},
		"an empty list is not a null":  {json: `{"tags":[]}`, want: patch{Tags: optional.Of([]string{})}},
		"an empty text is not a null ": {json: `{"name":""}`, want: patch{Name: optional.Of("")}},
	} {
		t.Run(name, func(t *testing.T) {
			var got patch
			if err := json.Unmarshal([]byte(tc.json), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
			back, err := json.Marshal(got)
			if err != nil || string(back) != tc.json {
				t.Errorf("encoded %s, %v, want %s", back, err, tc.json)
			}
		})
	}
}

func TestApply(t *testing.T) {
	old := "old"
	for name, tc := range map[string]struct {
		value   optional.Value[string]
		want    string
		wantPtr *string
	}{
		"absent keeps":     {value: optional.Value[string]{}, want: "old", wantPtr: &old},
		"null clears":      {value: optional.Null[string](), want: "", wantPtr: nil},
		"a value replaces": {value: optional.Of("new"), want: "new", wantPtr: new("new")},
	} {
		t.Run(name, func(t *testing.T) {
			got, gotPtr := "old", &old
			tc.value.Apply(&got)
			tc.value.ApplyPtr(&gotPtr)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Apply (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantPtr, gotPtr); diff != "" {
				t.Errorf("ApplyPtr (-want +got):\n%s", diff)
			}
		})
	}
}
