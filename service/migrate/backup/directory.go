package backup

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

const (
	dumpFile     = "dump"
	manifestFile = "manifest.json"
	lockFile     = "lock"
	unfinished   = ".unfinished"
)

// validName is what newName makes; it also keeps a name from leading out of the directory.
var validName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[a-z0-9]{8}$`)

// newName sorts by time, and is unique when two runs begin in the same second.
func newName(now time.Time) string {
	return now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:8])
}

// draft is a backup in the making. It is locked, so that another run does not take it for a leftover.
type draft struct {
	location, name string
	lock           *os.File
}

// newDraft makes the directory of a backup, under the name that no reader looks at.
func newDraft(location string, now time.Time) (*draft, error) {
	d := &draft{location: location, name: newName(now)}
	if err := os.Mkdir(d.path(), 0o750); err != nil {
		return nil, storageError("making a directory for the backup", err)
	}
	var err error
	if d.lock, err = lockDraft(d.path()); err != nil {
		return nil, errors.Join(storageError("locking the directory of the backup", err), os.RemoveAll(d.path()))
	}
	return d, nil
}

// lockDraft takes the lock of a directory. It is taken under another name and then given its own, since one that is
// there and not taken is that of a run that was killed, which sweep removes.
func lockDraft(path string) (*os.File, error) {
	lock, err := os.CreateTemp(path, lockFile+"-")
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = os.Rename(lock.Name(), filepath.Join(path, lockFile))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func (d *draft) path() string { return filepath.Join(d.location, d.name+unfinished) }

// publish writes the manifest and gives the directory its final name. It is the moment from which the backup exists.
func (d *draft) publish(report contract.BackupReport) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return storageError("encoding the manifest", err)
	}
	file, err := os.OpenFile(filepath.Join(d.path(), manifestFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return storageError("writing the manifest", err)
	}
	_, err = file.Write(append(text, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return storageError("writing the manifest", err)
	}
	if err := errors.Join(os.Remove(filepath.Join(d.path(), lockFile)), syncDirectory(d.path())); err != nil {
		return storageError("finishing the backup", err)
	}
	if err := os.Rename(d.path(), filepath.Join(d.location, d.name)); err != nil {
		return storageError("giving the backup its name", err)
	}
	if err := syncDirectory(d.location); err != nil {
		return storageError("giving the backup its name", err)
	}
	return nil
}

// close removes what has not been published.
func (d *draft) close() error {
	return errors.Join(os.RemoveAll(d.path()), d.lock.Close())
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func storageError(act string, err error) error {
	if known := storageFailure(err); known != nil {
		return known
	}
	return migrate.NewError(contract.StorageUnavailable, act+": "+err.Error())
}

// sweep removes the drafts whose runs have been killed. Of one that cannot be removed nothing depends.
func sweep(location string) {
	left, err := filepath.Glob(filepath.Join(location, "*"+unfinished))
	if err != nil {
		return
	}
	for _, path := range left {
		if !validName.MatchString(strings.TrimSuffix(filepath.Base(path), unfinished)) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR, 0)
		if err != nil {
			if info, statErr := os.Stat(path); errors.Is(err, fs.ErrNotExist) && statErr == nil && time.Since(info.ModTime()) > time.Minute {
				_ = os.RemoveAll(path)
			}
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(path)
		}
		_ = lock.Close()
	}
}

// List returns the manifests of the backups in a directory, oldest first. A directory whose manifest cannot be read is told of
// as not verified, with an error.
func List(location string) ([]contract.BackupReport, error) {
	entries, err := os.ReadDir(location)
	if err != nil {
		return nil, storageError("listing the backups", err)
	}
	var all []contract.BackupReport
	for _, entry := range entries {
		if !entry.IsDir() || !validName.MatchString(entry.Name()) {
			continue
		}
		report, err := readManifest(location, entry.Name())
		if failure, ok := errors.AsType[*migrate.Error](err); ok {
			report = contract.BackupReport{ReportVersion: contract.BackupReportVersion, Name: entry.Name(), Error: &failure.MigrationError}
		}
		report.Location = location
		all = append(all, report)
	}
	slices.SortFunc(all, func(a, b contract.BackupReport) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func readManifest(location, name string) (contract.BackupReport, error) {
	var report contract.BackupReport
	if !validName.MatchString(name) {
		return report, migrate.NewError(contract.BackupFailed, fmt.Sprintf("%q is no name of a backup: they look like 20261124T020000Z-abcdefgh", name))
	}
	text, err := os.ReadFile(filepath.Join(location, name, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return report, migrate.NewError(contract.BackupFailed, "there is no backup "+name+" in "+location+", or it has lost its manifest")
	}
	if err != nil {
		return report, storageError("reading the manifest of "+name, err)
	}
	if err := json.Unmarshal(text, &report); err != nil || report.Name != name || len(report.Files) != 1 || report.Files[0].Name != dumpFile {
		return contract.BackupReport{}, migrate.NewError(contract.BackupDiffers, "the manifest of "+name+" is damaged")
	}
	return report, nil
}

// openDump returns the dump of a backup.
func openDump(location, name string) (io.ReadCloser, error) {
	file, err := os.Open(filepath.Join(location, name, dumpFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, migrate.NewError(contract.BackupDiffers, "the backup "+name+" has lost its dump")
	}
	if err != nil {
		return nil, storageError("opening the dump of "+name, err)
	}
	return file, nil
}

// expired returns the names of the backups to remove so that keep verified ones are left, oldest first. The one that was just
// made counts and stays, even if another run has made a newer one meanwhile, and so does the newest. Those that are protected
// stay and do not count. What is not verified is never kept for it, and left for a person.
func expired(all []contract.BackupReport, keep int, made string, protected []string) []string {
	var names []string
	kept, newest := 0, true
	if slices.ContainsFunc(all, func(b contract.BackupReport) bool { return b.Name == made && b.Verified }) {
		kept++
	}
	for _, b := range slices.Backward(all) {
		if !b.Verified {
			continue
		}
		switch {
		case b.Name == made:
		case newest || kept < keep && !slices.Contains(protected, b.Name):
			kept++
		case !slices.Contains(protected, b.Name):
			names = append(names, b.Name)
		}
		newest = false
	}
	slices.Reverse(names)
	return names
}

// removeExpired takes the name away first, so that half a backup is never listed.
func removeExpired(location string, keep int, made string, protected []string) (removed []string, err error) {
	all, err := List(location)
	if err != nil {
		return nil, err
	}
	for _, name := range expired(all, keep, made, protected) {
		path := filepath.Join(location, name)
		err := os.Rename(path, path+unfinished)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another run was quicker
		}
		if err == nil {
			err = os.RemoveAll(path + unfinished)
		}
		if err != nil {
			return removed, storageError("removing the old backup "+name, err)
		}
		removed = append(removed, name)
	}
	return removed, nil
}
