package results

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the line by which Dir knows the root of the repository: its other modules lie below it.
const module = "module github.com/mirubato/mirubato"

// Dir is the directory into which the tests of this repository write, .local/results at its root. It works from any
// directory inside the repository and does not create anything.
func Dir() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the directory for results: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if isRoot(filepath.Join(dir, "go.mod")) {
			return filepath.Join(dir, ".local", "results"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the directory for results: %s is not inside the repository", start)
		}
	}
}

func isRoot(goMod string) bool {
	content, err := os.ReadFile(goMod)
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == module {
			return true
		}
	}
	return false
}

// Record writes a figure that a test or benchmark has measured into Dir and logs it. It ends the test when the figure
// cannot be written; whether a missed bound fails the test is the test's decision, see Figure.Missed.
func Record(tb testing.TB, f Figure) {
	tb.Helper()
	dir, err := Dir()
	if err != nil {
		tb.Fatal(err)
	}
	if err := Write(dir, f); err != nil {
		tb.Fatal(err)
	}
	tb.Logf("measured %s: %v %s (bound: %q)", f.Name, f.Value, f.Unit, string(f.Bound))
}

// Write records a figure in dir, which it creates when it is missing; only its user may read it. It is atomic: whoever
// reads the directory sees the old figure or the new one. Different figures may be written at the same time, also by
// several processes. It refuses a figure without name, command, finite value or readable bound, and one whose name
// differs from another's only in case or punctuation, because both would need the same file.
func Write(dir string, f Figure) error {
	if err := f.validate(); err != nil {
		return err
	}
	path := filepath.Join(dir, slug(f.Name)+".json")
	// A file that cannot be read as a figure is replaced: it protects no other figure.
	if before, err := readFigure(path); err == nil && before.Name != f.Name {
		return fmt.Errorf("figure %q: its file already holds %q; choose a name that differs in letters or digits", f.Name, before.Name)
	}
	content, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding figure %q: %w", f.Name, err)
	}
	return replaceFile(path, append(content, '\n'))
}

// replaceFile writes beside the target and renames, so that a killed test leaves no half figure.
func replaceFile(path string, content []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("creating the directory for results: %w", err)
	}
	// The name has no .json at its end: Read must not take up a file that is being written.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing a result: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error that brought us here says more
		}
	}()
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing a result: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("writing a result: %w", err)
	}
	return nil
}

// Read returns every figure in dir, sorted by name; none when the directory does not exist. Files that are not JSON
// figures stop it and are named in the error.
func Read(dir string) ([]Figure, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing results: %w", err)
	}
	var figures []Figure
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".json" {
			continue
		}
		f, err := readFigure(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		figures = append(figures, f)
	}
	slices.SortFunc(figures, func(a, b Figure) int { return strings.Compare(a.Name, b.Name) })
	return figures, nil
}

func readFigure(path string) (Figure, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Figure{}, fmt.Errorf("reading a result: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	var f Figure
	if err := decoder.Decode(&f); err != nil {
		return Figure{}, fmt.Errorf("reading %s as a figure: %w", path, err)
	}
	if err := f.validate(); err != nil {
		return Figure{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return f, nil
}

// slug makes a file name of a figure's name: letters and digits stay, everything between them becomes one hyphen.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}
