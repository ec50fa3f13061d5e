package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/migrate"
)

// A backup is a name, below which lie these.
const (
	dumpFile     = "dump"
	manifestFile = "manifest.json"
)

// validName is what newName makes; it also keeps a name from leading out of the storage.
var validName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[a-z0-9]{8}$`)

// newName sorts by time, and is unique when two runs begin in the same second.
func newName(now time.Time) string {
	return now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:8])
}

// storage is where the backups of one database lie. Several runs use it at once. Its errors are *migrate.Error.
type storage interface {
	// begin removes the drafts of runs that were killed, and none that a run is at work on, and makes one, which no list shows. On what
	// cannot be removed nothing depends.
	begin(ctx context.Context, now time.Time) (draft, error)
	// list returns the manifests of the backups, oldest first. One whose manifest cannot be read is told of as not verified, with an error.
	list(ctx context.Context) ([]contract.BackupReport, error)
	// manifest is that of one backup.
	manifest(ctx context.Context, name string) (contract.BackupReport, error)
	// dump opens the dump of a backup. The context must last until it is closed.
	dump(ctx context.Context, name string) (io.ReadCloser, error)
	// remove takes a backup from the list, and then removes it; false if another run was quicker.
	remove(ctx context.Context, name string) (bool, error)
	close() error
}

// draft is a backup in the making. One run uses it.
type draft interface {
	name() string
	// write makes the dump of what fill writes, which is expected to be at most so many bytes. An error of fill comes back as it is.
	write(ctx context.Context, most int64, fill func(io.Writer) error) error
	// read opens the dump as the storage gives it back. The context must last until it is closed.
	read(ctx context.Context) (io.ReadCloser, error)
	// publish writes the manifest, last of all. It is the moment from which the backup exists.
	publish(ctx context.Context, report contract.BackupReport) error
	// discard removes what has not been published, also when ctx has ended.
	discard(ctx context.Context) error
}

// openStorage opens a directory, or the bucket of an s3:// URL. Neither is asked for anything yet.
func openStorage(ctx context.Context, location string) (storage, error) {
	if objects.IsURL(location) {
		return openBucket(ctx, location)
	}
	return directory{location}, nil
}

// List returns the manifests of the backups in a directory or in the bucket of an s3:// URL, oldest first. One whose manifest cannot be
// read is told of as not verified, with an error. Its error is a *migrate.Error.
func List(ctx context.Context, location string) ([]contract.BackupReport, error) {
	from, err := openStorage(ctx, location)
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.close() }() // it was only read
	return from.list(ctx)
}

func encodeManifest(report contract.BackupReport) ([]byte, error) {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, storageError("encoding the manifest", err)
	}
	return append(text, '\n'), nil
}

func decodeManifest(name string, text []byte) (report contract.BackupReport, err error) {
	if err := json.Unmarshal(text, &report); err != nil || report.Name != name || len(report.Files) != 1 || report.Files[0].Name != dumpFile {
		return contract.BackupReport{}, migrate.NewError(contract.BackupDiffers, "the manifest of "+name+" is damaged")
	}
	return report, nil
}

func checkName(name string) error {
	if !validName.MatchString(name) {
		return migrate.NewError(contract.BackupFailed, fmt.Sprintf("%q is no name of a backup: they look like 20261124T020000Z-abcdefgh", name))
	}
	return nil
}

func noBackup(name, location string) error {
	return migrate.NewError(contract.BackupFailed, "there is no backup "+name+" in "+location+", or it has lost its manifest")
}

func noDump(name string) error {
	return migrate.NewError(contract.BackupDiffers, "the backup "+name+" has lost its dump")
}

// told is what a list says of a backup.
func told(name, location string, report contract.BackupReport, err error) contract.BackupReport {
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		report = contract.BackupReport{ReportVersion: contract.BackupReportVersion, Name: name, Error: &failure.MigrationError}
	}
	report.Location = location
	return report
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

// removeExpired removes the backups that are too many.
func removeExpired(ctx context.Context, from storage, keep int, made string, protected []string) (removed []string, err error) {
	all, err := from.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range expired(all, keep, made, protected) {
		was, err := from.remove(ctx, name)
		if err != nil {
			return removed, err
		}
		if was {
			removed = append(removed, name)
		}
	}
	return removed, nil
}
