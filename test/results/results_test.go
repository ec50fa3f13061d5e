package results_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/test/results"
)

func figure(name string, change ...func(*results.Figure)) results.Figure {
	f := results.Figure{Name: name, Value: 41.5, Unit: "s", Bound: "< 60", Command: "make e2e"}
	for _, c := range change {
		c(&f)
	}
	return f
}

func TestBoundAllows(t *testing.T) {
	for name, tc := range map[string]struct {
		bound results.Bound
		value float64
		want  bool
	}{
		"no bound allows everything":            {bound: "", value: math.MaxFloat64, want: true},
		"below a limit":                         {bound: "< 60", value: 59.9, want: true},
		"the limit itself is not below it":      {bound: "< 60", value: 60, want: false},
		"the limit itself is at most the limit": {bound: "<= 60", value: 60, want: true},
		"above at most":                         {bound: "<= 60", value: 60.1, want: false},
		"above a limit":                         {bound: "> 0.5", value: 0.6, want: true},
		"the limit itself is not above it":      {bound: "> 0.5", value: 0.5, want: false},
		"the limit itself is at least it":       {bound: ">= 0.5", value: 0.5, want: true},
		"below at least":                        {bound: ">= 0.5", value: 0.4, want: false},
		"exactly":                               {bound: "= 0", value: 0, want: true},
		"not exactly":                           {bound: "= 0", value: 1, want: false},
		"a negative limit":                      {bound: "> -1", value: 0, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.bound.Allows(tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("%q allows %v: got %v, want %v", tc.bound, tc.value, got, tc.want)
			}
			if missed := (results.Figure{Value: tc.value, Bound: tc.bound}).Missed(); missed == tc.want {
				t.Errorf("a figure of %v misses %q: got %v", tc.value, tc.bound, missed)
			}
		})
	}
}

func TestUnreadableBoundIsMissed(t *testing.T) {
	for name, bound := range map[string]results.Bound{
		"no space":           "<60",
		"no number":          "< sixty",
		"number alone":       "60",
		"unknown comparison": "~ 60",
		"a unit":             "< 60 s",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := bound.Allows(1); err == nil {
				t.Errorf("%q was read as a bound", bound)
			}
			if !(results.Figure{Value: 1, Bound: bound}).Missed() {
				t.Errorf("%q counts as kept", bound)
			}
		})
	}
}

func TestWriteThenRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there yet")
	want := []results.Figure{
		figure("Operator: resident memory", func(f *results.Figure) { f.Value, f.Unit, f.Bound = 31.25, "MB", "< 60" }),
		figure("failed requests", func(f *results.Figure) { f.Value, f.Unit, f.Bound = 0, "", "= 0" }),
		figure("plain", func(f *results.Figure) { f.Bound = "" }),
	}
	for _, f := range []results.Figure{want[2], want[0], want[1]} {
		if err := results.Write(dir, f); err != nil {
			t.Fatal(err)
		}
	}
	got, err := results.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures read back (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, "operator-resident-memory.json")); err != nil {
		t.Errorf("the file is not named after the figure: %v", err)
	}
}

func TestWriteReplacesAnEarlierMeasurement(t *testing.T) {
	dir := t.TempDir()
	for _, value := range []float64{50, 40} {
		if err := results.Write(dir, figure("start", func(f *results.Figure) { f.Value = value })); err != nil {
			t.Fatal(err)
		}
	}
	got, err := results.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []results.Figure{figure("start", func(f *results.Figure) { f.Value = 40 })}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures after the second measurement (-want +got):\n%s", diff)
	}
}

func TestWriteReplacesAFileThatIsNoFigure(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "start.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := results.Write(dir, figure("start")); err != nil {
		t.Error(err)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, f := range map[string]results.Figure{
		"a figure without name":                    figure(""),
		"a name without letter or digit":           figure(" - "),
		"a figure without command":                 figure("start", func(f *results.Figure) { f.Command = "" }),
		"a value that is not a number":             figure("start", func(f *results.Figure) { f.Value = math.NaN() }),
		"an infinite value":                        figure("start", func(f *results.Figure) { f.Value = math.Inf(1) }),
		"a bound that cannot be read":              figure("start", func(f *results.Figure) { f.Bound = "fast" }),
		"a name that shares another figure's file": figure("Cold Start"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := results.Write(dir, figure("cold start")); err != nil {
				t.Fatal(err)
			}
			if err := results.Write(dir, f); err == nil {
				t.Fatalf("%+v was written", f)
			}
			got, err := results.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]results.Figure{figure("cold start")}, got); diff != "" {
				t.Errorf("figures after the refusal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFiguresAreWrittenAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	var writers sync.WaitGroup
	for _, name := range strings.Fields("a b c d e f g h") {
		writers.Go(func() {
			for range 20 {
				if err := results.Write(dir, figure(name)); err != nil {
					t.Error(err)
				}
				if _, err := results.Read(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 8 {
		t.Errorf("got %d files, want 8 and no temporary one: %v", len(entries), entries)
	}
}

func TestReadNamesTheFileThatIsNoFigure(t *testing.T) {
	for name, content := range map[string]string{
		"not JSON":          "{",
		"an unknown member": `{"name": "start", "value": 1, "command": "make e2e", "colour": "red"}`,
		"a missing command": `{"name": "start", "value": 1}`,
		"an invalid bound":  `{"name": "start", "value": 1, "bound": "fast", "command": "make e2e"}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "wrong.json"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := results.Read(dir)
			if err == nil || !strings.Contains(err.Error(), "wrong.json") {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

func TestReadOfAMissingDirectoryIsEmpty(t *testing.T) {
	got, err := results.Read(filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 0 {
		t.Errorf("got %v, want nothing", got)
	}
}

func TestDirIsAtTheRootOfTheRepository(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "hack", "run")
	if err := os.MkdirAll(inner, 0o750); err != nil {
		t.Fatal(err)
	}
	for dir, line := range map[string]string{
		root:                        "module github.com/mirubato/mirubato\n",
		filepath.Join(root, "hack"): "module github.com/mirubato/mirubato/hack\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(inner)
	got, err := results.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, ".local", "results"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDirOutsideTheRepositoryIsAnError(t *testing.T) {
	t.Chdir(t.TempDir())
	if dir, err := results.Dir(); err == nil {
		t.Errorf("got %s, want an error", dir)
	}
}
