package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/hack/release/bundle"
)

func TestLocated(t *testing.T) {
	for name, tc := range map[string]struct{ text, want, problem string }{
		"with a tag":      {text: "image: mirubato/operator:1.2.0\n", want: "image: registry.example.com/x/operator:1.2.0\n"},
		"quoted":          {text: `value: "mirubato/migrate:1.2.0" `, want: `value: "registry.example.com/x/migrate:1.2.0" `},
		"without a tag":   {text: "repository: mirubato/migrate\n", want: "repository: registry.example.com/x/migrate\n"},
		"others are left": {text: "a: mirubato/operator\nb: other/mirubato/operator\n", want: "a: registry.example.com/x/operator\nb: other/mirubato/operator\n"},
		"another tag":     {text: "image: mirubato/operator:1.1.0\n", problem: "it must be that"},
		"no image":        {text: "a: b\n", problem: errImages.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := located([]byte(tc.text), "registry.example.com/x", "1.2.0")
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Fatalf("got %v, want %q", err, tc.problem)
				}
				return
			}
			if err != nil || string(got) != tc.want {
				t.Errorf("got %q, error %v, want %q", got, err, tc.want)
			}
		})
	}
}

// TestManifests makes what names images from the repository as it is.
func TestManifests(t *testing.T) {
	version := chartVersion(t)
	r := release{
		config: config{Repository: filepath.Join("..", ".."), Out: t.TempDir(), Version: version, Registry: "registry.example.com/x"},
		origin: origin{Created: time.Unix(0, 0)},
	}
	if err := r.manifests(t.Context()); err != nil {
		t.Fatal(err)
	}
	install, err := os.ReadFile(r.file("install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"operator", "migrate"} {
		if !strings.Contains(string(install), "registry.example.com/x/"+image+":"+version) {
			t.Errorf("install.yaml does not name the image %s of the release", image)
		}
	}
	if imageOf.Match(install) {
		t.Errorf("install.yaml still names %q", imageOf.Find(install))
	}
	if err := r.checksums(t.Context()); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(r.file("SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(sums)) {
		listed = append(listed, strings.Fields(line)[1])
	}
	want := []string{"install.yaml", "mirubato-operator-" + version + ".tgz", "mirubato-service-" + version + ".tgz"}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("checksums (-want +got):\n%s", diff)
	}
	r.Version = "99.0.0"
	if err := r.manifests(t.Context()); err == nil {
		t.Error("the charts were released under a version that is not theirs")
	}
}

func chartVersion(t testing.TB) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "charts", "mirubato-operator", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Version string `json:"version"`
	}
	if err := yaml.Unmarshal(content, &described); err != nil {
		t.Fatal(err)
	}
	return described.Version
}

func TestChartFilesLeaveOutWhatHelmDoes(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string]string{
		".helmignore": "# comment\nci/\nown.json\n", "Chart.yaml": "a", "ci/values.yaml": "b", "own.json": "c", "templates/own.json": "d",
	} {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := chartFiles(directory, "test")
	if err != nil {
		t.Fatal(err)
	}
	want := []bundle.File{
		{Path: "test/Chart.yaml", Content: []byte("a"), Mode: 0o644}, {Path: "test/templates/own.json", Content: []byte("d"), Mode: 0o644},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.WriteFile(filepath.Join(directory, ".helmignore"), []byte("*.json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := chartFiles(directory, "test"); err == nil {
		t.Error("a pattern was taken for a name")
	}
}

func TestOrigin(t *testing.T) {
	environment := func(revision, epoch string) func(string) string {
		return func(name string) string {
			return map[string]string{revisionVariable: revision, epochVariable: epoch}[name]
		}
	}
	for name, tc := range map[string]struct {
		revision, epoch string
		want            origin
		fails           bool
	}{
		"said by the environment": {revision: "abc", epoch: "60", want: origin{Revision: "abc", Created: time.Unix(60, 0).UTC()}},
		"no number":               {revision: "abc", epoch: "today", fails: true},
		"before time began":       {revision: "abc", epoch: "-1", fails: true},
		"without git":             {fails: true},
		"time alone":              {epoch: "60", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findOrigin(t.Context(), t.TempDir(), environment(tc.revision, tc.epoch))
			if (err != nil) != tc.fails {
				t.Fatalf("error %v, want one: %t", err, tc.fails)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKrewNamesEveryArchive(t *testing.T) {
	sums := map[platform]string{}
	for _, p := range platforms {
		sums[p] = sum([]byte(p.os + p.architecture))
	}
	text, err := yaml.Marshal(krew(config{Version: "1.2.0", Downloads: "https://example.com/v1.2.0", Source: "https://example.com"}, sums))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"uri: https://example.com/v1.2.0/kubectl-mirubato-1.2.0-linux-amd64.tar.gz", "uri: https://example.com/v1.2.0/kubectl-mirubato-1.2.0-windows-arm64.zip",
		"bin: kubectl-mirubato.exe", "sha256: " + sums[platform{"darwin", "arm64"}], "version: v1.2.0", "name: mirubato",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestTheDirectoryOfAReleaseIsEmpty(t *testing.T) {
	c := config{Repository: ".", Work: ".", Out: t.TempDir()}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Out, "old"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.complete(); err == nil {
		t.Error("a directory with the files of another release was taken")
	}
}
