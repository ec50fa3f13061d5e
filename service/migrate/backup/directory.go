package backup

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

const (
	lockFile   = "lock"
	unfinished = ".unfinished"
)

// directory is a storage: an existing directory, with one directory for each backup.
type directory struct{ location string }

// directoryDraft is a draft. It is locked, so that another run does not take it for a leftover.
type directoryDraft struct {
	location, called string
	lock             *os.File
}

// begin makes the directory of a backup, under the name that no reader looks at. What is swept before may be the room for it.
func (s directory) begin(_ context.Context, now time.Time) (draft, error) {
	s.sweep()
	d := &directoryDraft{location: s.location, called: newName(now)}
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

func (d *directoryDraft) name() string { return d.called }

func (d *directoryDraft) path() string { return filepath.Join(d.location, d.called+unfinished) }

func (d *directoryDraft) write(_ context.Context, _ int64, fill func(io.Writer) error) error {
	file, err := os.OpenFile(filepath.Join(d.path(), dumpFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return storageError("making the dump", err)
	}
	to := &noting{to: file}
	err = fill(to)
	if to.err != nil {
		// Who wrote only knows that nobody listens any more.
		err = storageError("writing the dump", to.err)
	}
	if syncErr := errors.Join(file.Sync(), file.Close()); err == nil && syncErr != nil {
		err = storageError("writing the dump", syncErr)
	}
	return err
}

// noting keeps the first error of writing.
type noting struct {
	to  io.Writer
	err error
}

func (w *noting) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.err = cmp.Or(w.err, err)
	return n, err
}

func (d *directoryDraft) read(context.Context) (io.ReadCloser, error) {
	file, err := os.Open(filepath.Join(d.path(), dumpFile))
	if err != nil {
		return nil, storageError("reading the dump", err)
	}
	return file, nil
}

// publish brings everything to the disk before it gives the directory its final name.
func (d *directoryDraft) publish(_ context.Context, report contract.BackupReport) error {
	text, err := encodeManifest(report)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(d.path(), manifestFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return storageError("writing the manifest", err)
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return storageError("writing the manifest", err)
	}
	if err := errors.Join(os.Remove(filepath.Join(d.path(), lockFile)), syncDirectory(d.path())); err != nil {
		return storageError("finishing the backup", err)
	}
	if err := os.Rename(d.path(), filepath.Join(d.location, d.called)); err != nil {
		return storageError("giving the backup its name", err)
	}
	if err := syncDirectory(d.location); err != nil {
		return storageError("giving the backup its name", err)
	}
	return nil
}

func (d *directoryDraft) discard(context.Context) error {
	if err := errors.Join(os.RemoveAll(d.path()), d.lock.Close()); err != nil {
		return storageError("cleaning up", err)
	}
	return nil
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// storageError is one of a directory, unless it is known already what it is.
func storageError(act string, err error) error {
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return failure
	}
	if known := storageFailure(err); known != nil {
		return known
	}
	return migrate.NewError(contract.StorageUnavailable, act+": "+err.Error())
}

// sweep removes the drafts whose runs have been killed. Of one that cannot be removed nothing depends.
func (s directory) sweep() {
	left, err := filepath.Glob(filepath.Join(s.location, "*"+unfinished))
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

func (s directory) list(ctx context.Context) ([]contract.BackupReport, error) {
	entries, err := os.ReadDir(s.location)
	if err != nil {
		return nil, storageError("listing the backups", err)
	}
	var all []contract.BackupReport
	for _, entry := range entries {
		if !entry.IsDir() || !validName.MatchString(entry.Name()) {
			continue
		}
		report, err := s.manifest(ctx, entry.Name())
		all = append(all, told(entry.Name(), s.location, report, err))
	}
	slices.SortFunc(all, func(a, b contract.BackupReport) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (s directory) manifest(_ context.Context, name string) (contract.BackupReport, error) {
	if err := checkName(name); err != nil {
		return contract.BackupReport{}, err
	}
	text, err := os.ReadFile(filepath.Join(s.location, name, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return contract.BackupReport{}, noBackup(name, s.location)
	}
	if err != nil {
		return contract.BackupReport{}, storageError("reading the manifest of "+name, err)
	}
	return decodeManifest(name, text)
}

func (s directory) dump(_ context.Context, name string) (io.ReadCloser, error) {
	file, err := os.Open(filepath.Join(s.location, name, dumpFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noDump(name)
	}
	if err != nil {
		return nil, storageError("opening the dump of "+name, err)
	}
	return file, nil
}

// remove takes the name away first, so that half a backup is never listed.
func (s directory) remove(_ context.Context, name string) (bool, error) {
	path := filepath.Join(s.location, name)
	err := os.Rename(path, path+unfinished)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = os.RemoveAll(path + unfinished)
	}
	if err != nil {
		return false, storageError("removing the old backup "+name, err)
	}
	return true, nil
}

func (s directory) close() error { return nil }
