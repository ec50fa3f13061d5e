package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/objects/s3server"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

// place is where backups lie, and the directory in which a test finds them as files.
type place struct{ location, dir string }

// everywhere runs a test on each kind of storage.
func everywhere(t *testing.T, test func(t *testing.T, place place)) {
	t.Helper()
	t.Run("in a directory", func(t *testing.T) {
		dir := t.TempDir()
		test(t, place{dir, dir})
	})
	t.Run("in a bucket", func(t *testing.T) {
		server := s3server.Start(t)
		test(t, place{server.URL() + "&prefix=production/", filepath.Join(server.Dir(), "production")})
	})
}

func (p place) open(t *testing.T) storage {
	t.Helper()
	opened, err := openStorage(t.Context(), p.location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

// files are the paths of all files, but those of locks.
func (p place) files(t *testing.T) (found []string) {
	t.Helper()
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() && d.Name() != lockFile {
			inside, relErr := filepath.Rel(p.dir, path)
			found, err = append(found, inside), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (p place) assertFiles(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	found := p.files(t)
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// age makes everything older, as if so much time had gone by.
func (p place) age(t *testing.T, by time.Duration) {
	t.Helper()
	for _, file := range p.files(t) {
		info, err := os.Stat(filepath.Join(p.dir, file))
		if err == nil {
			err = os.Chtimes(filepath.Join(p.dir, file), time.Time{}, info.ModTime().Add(-by))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a run that is at work writes anew
			t.Fatal(err)
		}
	}
}

func beginDraft(t *testing.T, in storage, content string) draft {
	t.Helper()
	d, err := in.begin(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if content != "" {
		if err := d.write(t.Context(), 100, writing(content)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func writing(content string) func(io.Writer) error {
	return func(to io.Writer) error {
		_, err := io.WriteString(to, content)
		return err
	}
}

func manifestOf(d draft) contract.BackupReport {
	return contract.BackupReport{ReportVersion: 1, Name: d.name(), Verified: true, Files: []contract.BackupFile{{Name: dumpFile}}}
}

func publish(t *testing.T, d draft) {
	t.Helper()
	if err := d.publish(t.Context(), manifestOf(d)); err != nil {
		t.Fatal(err)
	}
	if err := d.discard(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, in storage) (all []string) {
	t.Helper()
	listed, err := in.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range listed {
		all = append(all, b.Name)
	}
	return all
}

func text(t *testing.T, r io.ReadCloser, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestABackupIsThereFromItsManifestOn(t *testing.T) {
	everywhere(t, func(t *testing.T, place place) {
		t.Helper()
		in := place.open(t)
		d := beginDraft(t, in, "waltz")
		if got := names(t, in); got != nil {
			t.Errorf("a draft is listed: %v", got)
		}
		read, err := d.read(t.Context())
		if got := text(t, read, err); got != "waltz" {
			t.Errorf("read %q", got)
		}
		publish(t, d)
		listed, err := in.list(t.Context())
		want := manifestOf(d)
		want.Location = place.location
		if diff := cmp.Diff([]contract.BackupReport{want}, listed); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		read, err = in.dump(t.Context(), d.name())
		if got := text(t, read, err); got != "waltz" {
			t.Errorf("read %q", got)
		}
		for _, want := range []bool{true, false} {
			if was, err := in.remove(t.Context(), d.name()); err != nil || was != want {
				t.Errorf("removed %v, %v", was, err)
			}
		}
		place.assertFiles(t)
		_, err = in.manifest(t.Context(), d.name())
		mustFail(t, err, contract.BackupFailed, "there is no backup "+d.name())
		_, err = in.manifest(t.Context(), "../passwd")
		mustFail(t, err, contract.BackupFailed, "is no name of a backup")
	})
}

func TestADraftLeavesNothing(t *testing.T) {
	broken := errors.New("the program broke")
	for name, tc := range map[string]struct {
		write func(io.Writer) error
		want  error
	}{
		"nothing written":      {nil, nil},
		"a dump":               {writing("waltz"), nil},
		"half a dump":          {func(to io.Writer) error { return errors.Join(writing("wal")(to), broken) }, broken},
		"half a large dump":    {func(to io.Writer) error { return errors.Join(writing(strings.Repeat("wal", 8<<20))(to), broken) }, broken},
		"a dump of many parts": {writing(strings.Repeat("waltz", 5<<20)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, place place) {
				t.Helper()
				in := place.open(t)
				d := beginDraft(t, in, "")
				if tc.write != nil {
					if err := d.write(t.Context(), 100, tc.write); !errors.Is(err, tc.want) {
						t.Errorf("got %v, want %v", err, tc.want)
					}
				}
				if err := d.discard(t.Context()); err != nil {
					t.Error(err)
				}
				place.assertFiles(t)
			})
		})
	}
}

func TestDraftsOfOthersAreLeftAlone(t *testing.T) {
	everywhere(t, func(t *testing.T, place place) {
		t.Helper()
		in := place.open(t)
		first, second := beginDraft(t, in, "waltz"), beginDraft(t, in, "")
		third := beginDraft(t, place.open(t), "polka")
		publish(t, first)
		publish(t, third)
		if err := second.write(t.Context(), 100, writing("march")); err != nil {
			t.Fatal(err)
		}
		publish(t, second)
		want := []string{first.name(), second.name(), third.name()}
		slices.Sort(want)
		if diff := cmp.Diff(want, names(t, in)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestDamageIsTold(t *testing.T) {
	everywhere(t, func(t *testing.T, place place) {
		t.Helper()
		in := place.open(t)
		damaged, lost := beginDraft(t, in, "waltz"), beginDraft(t, in, "polka")
		publish(t, damaged)
		publish(t, lost)
		if err := os.WriteFile(filepath.Join(place.dir, damaged.name(), manifestFile), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(place.dir, lost.name(), dumpFile)); err != nil {
			t.Fatal(err)
		}
		_, err := in.dump(t.Context(), lost.name())
		mustFail(t, err, contract.BackupDiffers, "has lost its dump")
		all, err := List(t.Context(), place.location)
		if err != nil || len(all) != 2 {
			t.Fatalf("listed %+v, error %v", all, err)
		}
		for _, b := range all {
			if isDamaged := b.Name == damaged.name(); b.Verified == isDamaged || (b.Error != nil) != isDamaged {
				t.Errorf("listed %+v", b)
			}
		}
	})
}

func TestTwoAtOnceAndRetention(t *testing.T) {
	everywhere(t, func(t *testing.T, place place) {
		t.Helper()
		cfg := config(t, pgserver.Filled(t, "everything", fill))
		cfg.Keep, cfg.Location = 2, place.location
		for range 2 {
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() {
					if report, err := Run(t.Context(), cfg); err != nil || !report.Verified {
						t.Errorf("verified %v, error %v", report.Verified, err)
					}
				})
			}
			both.Wait()
		}
		all := names(t, place.open(t))
		if len(all) != 2 {
			t.Fatalf("%d backups are left", len(all))
		}
		place.assertFiles(t, all[0]+"/dump", all[0]+"/manifest.json", all[1]+"/dump", all[1]+"/manifest.json")
		assertEmpty(t, cfg.Scratch)
	})
}

const (
	envBackupDiesAt = "BACKUP_DIES_AT"
	envBackupDiesOf = "BACKUP_DIES_OF"
)

// backUpAndDie is what the test binary does instead of testing: it makes a backup, and kills itself when the log comes to a line.
func backUpAndDie() {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(envBackupDiesOf)), &cfg); err != nil {
		panic(err)
	}
	cfg.Log = slog.New(stopper{Handler: slog.DiscardHandler, at: os.Getenv(envBackupDiesAt), stop: func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}})
	_, err := Run(context.Background(), cfg)
	panic(fmt.Sprintf("it was not killed: %v", err))
}

func TestABackupThatWasKilledIsNeverHalfThere(t *testing.T) {
	everywhere(t, func(t *testing.T, place place) {
		t.Helper()
		cfg := config(t, pgserver.Filled(t, "everything", fill))
		cfg.Location = place.location
		for _, tc := range []struct {
			at   string
			want int
		}{{"reading the database", 0}, {"dumping the database", 0}, {"restoring the dump", 0}, {"comparing the copy", 0}, {"keeping the backup", 1}} {
			killBackup(t, cfg, tc.at)
			if got := names(t, place.open(t)); len(got) != tc.want {
				t.Errorf("killed at %s: %v are listed", tc.at, got)
			}
		}
		place.age(t, 2*grace)
		report, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		all := names(t, place.open(t))
		if len(all) != 2 || all[1] != report.Name {
			t.Fatalf("%v are listed", all)
		}
		place.assertFiles(t, all[0]+"/dump", all[0]+"/manifest.json", all[1]+"/dump", all[1]+"/manifest.json")
	})
}

func killBackup(t *testing.T, cfg Config, at string) {
	t.Helper()
	cfg.Log = nil
	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envBackupDiesAt+"="+at, envBackupDiesOf+"="+string(encoded))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%v: %s", err, out.String())
	}
}
