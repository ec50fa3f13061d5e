package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/program"
)

// made describes an image as recipes do, of a program that prints text.
func made(t testing.TB, text string) archive.Image {
	t.Helper()
	module := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/program\n\ngo 1.26.0\n", "main.go": "package main\n\nfunc main() { println(\"" + text + "\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output := filepath.Join(t.TempDir(), "program")
	if err := program.Build(t.Context(), program.Program{Dir: module, Package: ".", Output: output}); err != nil {
		t.Fatal(err)
	}
	return archive.Image{
		Name: "localhost/program:1", Architecture: runtime.GOARCH, Entrypoint: []string{"/program"}, Arguments: []string{"serve"}, User: "65532:65532", Environment: []string{"A=1", "B=2"},
		Labels: map[string]string{"title": "program"},
		Files: []archive.File{
			{Path: "/program", Source: output, Mode: 0o755},
			{Path: "/LICENSE", Content: []byte("licence"), Mode: 0o644},
			{Path: "/etc/passwd", Content: []byte("root"), Mode: 0o644},
		},
	}
}

func TestDifferences(t *testing.T) {
	image := made(t, "one")
	for name, tc := range map[string]struct {
		change func(*archive.Image)
		want   []string // what each line has, in order
	}{
		"none":                      {change: func(*archive.Image) {}},
		"users of Debian":           {change: func(i *archive.Image) { i.Files[2].Content = []byte("more") }},
		"more in the environment":   {change: func(i *archive.Image) { i.Environment = append(slices.Clone(i.Environment), "C=3") }},
		"less in the environment":   {change: func(i *archive.Image) { i.Environment = i.Environment[:1] }, want: []string{"lacks B=2"}},
		"another user":              {change: func(i *archive.Image) { i.User = "0" }, want: []string{"its user is 0, not 65532:65532"}},
		"other arguments":           {change: func(i *archive.Image) { i.Arguments = nil }, want: []string{"its arguments is [], not [serve]"}},
		"another label":             {change: func(i *archive.Image) { i.Labels = map[string]string{"title": "x"} }, want: []string{`label title is "x"`}},
		"no licence":                {change: func(i *archive.Image) { i.Files = slices.Concat(i.Files[:1], i.Files[2:]) }, want: []string{"no /LICENSE"}},
		"another licence":           {change: func(i *archive.Image) { i.Files[1].Content = []byte("other") }, want: []string{"/LICENSE differs from that of make images: 5 bytes in place of 7"}},
		"a licence nobody can read": {change: func(i *archive.Image) { i.Files[1].Mode = 0o600 }, want: []string{"mode 600, not 644"}},
		"a key": {
			change: func(i *archive.Image) {
				i.Files = append(i.Files, archive.File{Path: "/etc/ssl/private/a.key", Content: []byte("key"), Mode: 0o600})
			},
			want: []string{"such as /etc/ssl/private/a.key"},
		},
		"another program": {
			change: func(i *archive.Image) { i.Files[0].Source = made(t, "two").Files[0].Source }, want: []string{"/program differs from that of make images: modules and settings are the same; flags"},
		},
		"a program with libraries": {
			change: func(i *archive.Image) { i.Files[0].Source = "/usr/bin/env" }, want: []string{"/program differs", "not linked statically: it needs [libc"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			built := image
			built.Files = slices.Clone(image.Files)
			tc.change(&built)
			got := differences(image, look(t, built))
			if len(got) != len(tc.want) {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			for i, want := range tc.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}

// look packs an image and reads it as what an engine has exported.
func look(t testing.TB, image archive.Image) seen {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	if _, err := archive.Write(file, image); err != nil {
		t.Fatal(err)
	}
	packed, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := read(packed, compared(image))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJudge(t *testing.T) {
	check := trial{command: []string{"look"}, says: "all"}
	if got := check.judge("all\n"); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if got := check.judge("no /usr/bin/pg_dump\nall\n"); len(got) != 1 || !strings.Contains(got[0], "/usr/bin/pg_dump") {
		t.Errorf("a file is missing: got %q", got)
	}
	if got := check.judge("nothing\n"); len(got) != 1 || !strings.Contains(got[0], `"all"`) {
		t.Errorf("it said something else: got %q", got)
	}
}
