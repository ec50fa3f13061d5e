package settings

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/settings"
)

// patience is far beyond what anything here takes.
const patience = 30 * time.Second

// files are a directory of generations and the file of the pod's own.
type files struct {
	dir, own string
	log      bytes.Buffer
	states   []State
}

func newFiles(t *testing.T) *files {
	t.Helper()
	root := t.TempDir()
	f := &files{dir: filepath.Join(root, "settings"), own: filepath.Join(root, "pod", "generation")}
	for _, dir := range []string{f.dir, filepath.Dir(f.own)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// put writes files by name; "own" is the file of the pod's generation. An empty text after "-" removes the file.
func (f *files) put(t *testing.T, contents map[string]string) {
	t.Helper()
	for name, text := range contents {
		path := filepath.Join(f.dir, name)
		if name == "own" {
			path = f.own
		}
		var err error
		if text == "-" {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// SettingsChanged implements Observer.
func (f *files) SettingsChanged(s State) { f.states = append(f.states, s) }

func (f *files) open(every time.Duration) *Live {
	return Open(Config{
		Dir: f.dir, GenerationFile: f.own, Base: settings.Default(), Every: every, Observer: f,
		Logger: slog.New(slog.NewJSONHandler(&f.log, nil)),
	})
}

func level(l *Live) settings.LogLevel { return *l.Current().Logging.Level }

func TestWhichGenerationIsInForce(t *testing.T) {
	warn, debug := "logging: {level: warn}", "logging: {level: debug}"
	for name, tc := range map[string]struct {
		files      map[string]string
		generation int64
		level      settings.LogLevel
		problem    string
		rejected   int64
	}{
		"the current one":                     {map[string]string{"7.yaml": warn, "8.yaml": debug, "current": "7\n"}, 7, "warn", "", 0},
		"the pod's own":                       {map[string]string{"7.yaml": warn, "8.yaml": debug, "current": "7", "own": "8"}, 8, "debug", "", 0},
		"own among all annotations":           {map[string]string{"7.yaml": warn, "8.yaml": debug, "current": "7", "own": "a=\"1\"\nplatform.mirubato.com/settings-generation=\"8\"\nz=\"x=y\""}, 8, "debug", "", 0},
		"no own among all annotations":        {map[string]string{"7.yaml": warn, "current": "7", "own": "a=\"1\"\n"}, 7, "warn", "", 0},
		"an empty annotation":                 {map[string]string{"7.yaml": warn, "current": "7", "own": ""}, 7, "warn", "", 0},
		"nothing at all":                      {nil, 0, "info", "there is no file current", 0},
		"a current one that is not there":     {map[string]string{"current": "9"}, 0, "info", "generation 9 is wanted, but there is no file 9.yaml", 9},
		"an own one that is not there":        {map[string]string{"7.yaml": warn, "current": "7", "own": "9"}, 0, "info", "generation 9 is wanted", 9},
		"an own one that is no number":        {map[string]string{"7.yaml": warn, "current": "7", "own": "../7"}, 0, "info", "must be the number of a generation", 0},
		"an own one that is not quoted":       {map[string]string{"7.yaml": warn, "current": "7", "own": "platform.mirubato.com/settings-generation=7"}, 0, "info", "is no quoted text", 0},
		"a current one that is no number":     {map[string]string{"current": "7.yaml"}, 0, "info", "must be the number of a generation", 0},
		"a negative one":                      {map[string]string{"-1.yaml": warn, "current": "-1"}, 0, "info", "must be the number", 0},
		"an empty file":                       {map[string]string{"7.yaml": " \n", "current": "7"}, 0, "info", "7.yaml is empty", 7},
		"no more than comments":               {map[string]string{"7.yaml": "# all at their defaults\n", "current": "7"}, 7, "info", "", 0},
		"an unknown key":                      {map[string]string{"7.yaml": "loging: {}", "current": "7"}, 0, "info", "loging is not known", 7},
		"a contradiction to what is defaults": {map[string]string{"7.yaml": "tokens: {accessTTL: 5h, refreshTTL: 4h}", "current": "7"}, 0, "info", "tokens.accessTTL", 7},
		"more than anybody reads":             {map[string]string{"7.yaml": strings.Repeat("#", settings.MaxSize+2), "current": "7"}, 0, "info", "more than", 7},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFiles(t)
			f.put(t, tc.files)
			l := f.open(time.Hour)
			got := l.State()
			if got.Generation != tc.generation || got.Rejected != tc.rejected || level(l) != tc.level {
				t.Errorf("%+v with level %s", got, level(l))
			}
			if (got.Error == "") != (tc.problem == "") || !strings.Contains(got.Error, tc.problem) {
				t.Errorf("error %q, want %q", got.Error, tc.problem)
			}
			if rejecting := strings.Contains(f.log.String(), "Rejecting settings"); rejecting != (tc.problem != "") {
				t.Errorf("the log says %s", f.log.String())
			}
		})
	}
}

func TestWithoutADirectoryTheBaseHolds(t *testing.T) {
	l := Open(Config{Base: settings.Default(), Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	l.Run(t.Context()) // returns at once
	if l.State() != (State{}) || level(l) != settings.LogInfo {
		t.Errorf("%+v", l.State())
	}
}

func TestABadFileKeepsTheLastGoodSettings(t *testing.T) {
	f := newFiles(t)
	f.put(t, map[string]string{"7.yaml": "logging: {level: warn}", "current": "7"})
	l := f.open(time.Hour)
	for _, bad := range []map[string]string{
		{"8.yaml": "logging: {level: loud}", "current": "8"},
		{"8.yaml": "", "current": "8"},
		{"current": "-"},
	} {
		f.put(t, bad)
		l.load()
		l.load() // saying it once is enough
		if got := l.State(); got.Generation != 7 || got.Error == "" || level(l) != settings.LogWarn {
			t.Errorf("%v: %+v", bad, got)
		}
	}
	f.put(t, map[string]string{"current": "7"})
	l.load()
	f.put(t, map[string]string{"8.yaml": "logging: {level: error}", "current": "8"})
	l.load()
	want := []State{{}, {Generation: 7}, {Generation: 7, Rejected: 8}, {Generation: 7, Rejected: 8}, {Generation: 7}, {Generation: 7}, {Generation: 8}}
	for i, got := range f.states {
		if i == 2 || i == 3 || i == 4 {
			if got.Error == "" {
				t.Errorf("state %d has no error", i)
			}
			f.states[i].Error = ""
		}
	}
	if diff := cmp.Diff(want, f.states); diff != "" {
		t.Errorf("states told (-want +got):\n%s", diff)
	}
}

func TestTheSameGenerationMayChange(t *testing.T) {
	f := newFiles(t)
	f.put(t, map[string]string{"1.yaml": "logging: {level: warn}", "current": "1"})
	l := f.open(time.Hour)
	var told []settings.LogLevel
	l.Subscribe(func(s settings.Settings) { told = append(told, *s.Logging.Level) })
	f.put(t, map[string]string{"1.yaml": "logging: {level: debug}"})
	l.load()
	l.load()
	if diff := cmp.Diff([]settings.LogLevel{"warn", "debug"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// await waits until the settings in force have a level.
func await(t *testing.T, changes <-chan settings.LogLevel, want settings.LogLevel) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case got := <-changes:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("the level never became %s", want)
		}
	}
}

func run(t *testing.T, l *Live) <-chan settings.LogLevel {
	t.Helper()
	changes := make(chan settings.LogLevel, 1000)
	l.Subscribe(func(s settings.Settings) { changes <- *s.Logging.Level })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return changes
}

// project writes a volume as the kubelet does: the files lie in a new directory, and the link ..data is replaced.
func project(t *testing.T, dir string, number int, contents map[string]string) {
	t.Helper()
	version := fmt.Sprintf("..2026_%d", number)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, version), 0o700))
	for name, text := range contents {
		must(os.WriteFile(filepath.Join(dir, version, name), []byte(text), 0o600))
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			must(os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
		}
	}
	must(os.Symlink(version, filepath.Join(dir, "..data_tmp")))
	must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
}

func TestVolumesOfTheKubeletAreFollowedWithoutReadingAgain(t *testing.T) {
	f := newFiles(t)
	generations := map[string]string{"7.yaml": "logging: {level: warn}", "current": "7"}
	project(t, f.dir, 1, generations)
	project(t, filepath.Dir(f.own), 1, map[string]string{"generation": ""})
	changes := run(t, f.open(time.Hour)) // an hour: what follows must have been told
	await(t, changes, "warn")
	generations["8.yaml"] = "logging: {level: debug}"
	project(t, f.dir, 2, generations)
	project(t, filepath.Dir(f.own), 2, map[string]string{"generation": "8"})
	await(t, changes, "debug")
	project(t, filepath.Dir(f.own), 3, map[string]string{"generation": "7"})
	await(t, changes, "warn")
}

func TestADirectoryThatComesLaterIsFound(t *testing.T) {
	f := newFiles(t)
	hidden := f.dir
	f.dir = filepath.Join(hidden, "later")
	changes := run(t, f.open(5*time.Millisecond))
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.put(t, map[string]string{"1.yaml": "logging: {level: warn}", "current": "1"})
	await(t, changes, "warn")
}

func TestReadersNeverSeeHalfASwap(t *testing.T) {
	f := newFiles(t)
	f.put(t, map[string]string{
		"1.yaml":  "{logging: {level: warn}, tokens: {accessTTL: 1m}}",
		"2.yaml":  "{logging: {level: debug}, tokens: {accessTTL: 2m}}",
		"current": "1",
	})
	l := f.open(time.Hour)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				s := l.Current()
				if (*s.Logging.Level == "warn") != (s.Tokens.AccessTTL.Std() == time.Minute) {
					t.Errorf("level %s with %s", *s.Logging.Level, s.Tokens.AccessTTL)
					return
				}
			}
		})
	}
	for i := range 200 {
		f.put(t, map[string]string{"current": fmt.Sprint(i%2 + 1)})
		l.load()
	}
	close(done)
	readers.Wait()
}
