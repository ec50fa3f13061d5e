package manifest

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRender(t *testing.T) {
	for name, tc := range map[string]struct {
		text    string
		want    []string
		refused bool
	}{
		"blanks are filled in":           {text: "kind: A\nmetadata: {name: {{.Name}}}\n", want: []string{"A/x"}},
		"documents keep their order":     {text: "kind: B\nmetadata: {name: b}\n---\nkind: A\nmetadata: {name: a}\n", want: []string{"B/b", "A/a"}},
		"an empty document is no object": {text: "# nothing\n---\nkind: A\nmetadata: {name: a}\n", want: []string{"A/a"}},
		"a blank without value":          {text: "kind: {{.Kind}}\n", refused: true},
		"no YAML":                        {text: "kind: [\n", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{"m/one.yaml": {Data: []byte(tc.text)}}
			objects, err := Render(files, "m/*.yaml", map[string]string{"Name": "x"})
			if (err != nil) != tc.refused {
				t.Fatalf("error %v, want refused: %v", err, tc.refused)
			}
			var got []string
			for _, object := range objects {
				got = append(got, object.GetKind()+"/"+object.GetName())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWaitReportsTheLastError(t *testing.T) {
	refused := errors.New("refused")
	err := Wait(t.Context(), time.Millisecond, "the moon", func(context.Context) (bool, error) { return false, refused })
	if !errors.Is(err, refused) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want both the deadline and the cause", err)
	}
}
