package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeepAddsTheAnnotationAndNothingElse(t *testing.T) {
	const crd = "metadata: {annotations: {made-by: hand}, name: a}\nspec:\n  list:\n  - one: 1\n"
	got, err := keep([]byte(crd))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(crd, "hand}", "hand, helm.sh/resource-policy: keep}", 1)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
	if _, err := keep([]byte("metadata: {name: a}\n")); err == nil {
		t.Error("an object without annotations was taken")
	}
}

func TestTranslateRefusesWhatTheCRDDoesNotKnow(t *testing.T) {
	for name, tc := range map[string]struct{ crd, want string }{
		"fields are closed": {
			`{"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}, "x-kubernetes-validations": [{"rule": "true"}]}`,
			`{"type": "object", "additionalProperties": false, "properties": {"a": {"type": "object", "additionalProperties": false, "properties": {"b": {"type": "string"}}}}}`,
		},
		"maps stay open, their values do not": {
			`{"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}}`,
			`{"type": "object", "additionalProperties": {"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}}}`,
		},
		"so are the items of lists": {
			`{"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}, "x-kubernetes-list-type": "atomic"}`,
			`{"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}}}`,
		},
		"numbers and quantities": {
			`{"anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^1$", "x-kubernetes-int-or-string": true}`,
			`{"type": ["integer", "string"], "pattern": "^1$"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got, want map[string]any
			if err := json.Unmarshal([]byte(tc.crd), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			translate(got)
			gotText, _ := json.Marshal(got)
			wantText, _ := json.Marshal(want)
			if !bytes.Equal(gotText, wantText) {
				t.Errorf("got  %s\nwant %s", gotText, wantText)
			}
		})
	}
}

func TestTableListsEveryValue(t *testing.T) {
	got, err := table([]byte("# Of the file.\n\n# What runs:\n# an image.\nimage:\n  # Its a|b.\n  tag: \"\"\n# All of it.\nresources:\n  limits: {memory: 1Gi}\nlist:\n  # None.\n  of: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "\n| value | default | meaning |\n| --- | --- | --- |\n" +
		"| `image` |  | What runs: an image. |\n" +
		"| `image.tag` | `\"\"` | Its a\\|b. |\n" +
		"| `resources` | `{\"limits\":{\"memory\":\"1Gi\"}}` | All of it. |\n" +
		"| `list.of` | `[]` | None. |\n\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if _, err := table([]byte("# One.\none: 1\ntwo: 2\n")); err == nil || !strings.Contains(err.Error(), "nothing about two") {
		t.Errorf("err = %v, want one that names the value without a comment", err)
	}
}

func TestPutAllRemovesWhatIsNotMadeAnyMore(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "old.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := putAll(dir, map[string][]byte{"new.yaml": []byte("a")}); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "new.yaml")}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
