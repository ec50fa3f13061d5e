package backup

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/migrate"
)

const (
	// aliveFile is written again and again for as long as a run is at work on a draft.
	aliveFile = "alive"
	aliveText = "A run is at work on this backup, or was within the last hour.\n"
	// beat is how often that is, and grace how long nothing of a draft may have been written until its run counts as killed: a run that
	// cannot reach the bucket for less is not taken for one.
	beat  = 5 * time.Minute
	grace = time.Hour
	// callPatience is how long a call may take that moves no dump.
	callPatience = 2 * time.Minute
	// manifestLimit bounds manifests, which have a line for each table.
	manifestLimit = 64 << 20
)

// bucket is a storage: keys NAME/dump and NAME/manifest.json in a bucket. There are no locks in it, so a draft is told from what a
// killed run has left by its age, in the time of the bucket.
type bucket struct {
	objects.Bucket
	// location is the URL, host the name of the bucket.
	location, host string
	beat, grace    time.Duration
}

func openBucket(ctx context.Context, location string) (*bucket, error) {
	parsed, err := url.Parse(location)
	if err != nil { // whose text may hold a secret
		return nil, noLocation("its URL cannot be read")
	}
	if prefix := parsed.Query().Get("prefix"); prefix != "" && !strings.HasSuffix(prefix, "/") {
		return nil, noLocation("what its keys begin with must end in a slash, as in prefix=" + prefix + "/")
	}
	opened, err := objects.Open(ctx, location, objects.Again)
	if err != nil {
		return nil, noLocation(err.Error())
	}
	return &bucket{Bucket: opened, location: location, host: parsed.Host, beat: beat, grace: grace}, nil
}

func noLocation(why string) error {
	return migrate.NewError(contract.StorageUnavailable, "the bucket of backups: "+why+"; correct --location")
}

func (s *bucket) close() error { return s.Close() }

// put writes a small object.
func (s *bucket) put(ctx context.Context, key string, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	return s.Write(ctx, key, bytes.NewReader(content), int64(len(content)))
}

// drop removes objects, in the order given.
func (s *bucket) drop(ctx context.Context, keys ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	for _, key := range keys {
		if err := s.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// stored is an object as a listing shows it.
type stored struct {
	name, file string
	written    time.Time
}

// objects lists what lies under the names of backups and drafts, or of one. A bucket may hold other things.
func (s *bucket) objects(ctx context.Context, of string) (all []stored, err error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	err = s.List(ctx, of, func(key string, written time.Time) error {
		if name, file, ok := splitKey(key); ok {
			all = append(all, stored{name, file, written})
		}
		return nil
	})
	return all, err
}

func splitKey(key string) (name, file string, ok bool) {
	name, file, _ = strings.Cut(key, "/")
	return name, file, validName.MatchString(name) && slices.Contains([]string{dumpFile, manifestFile, aliveFile}, file)
}

// begin writes first, so that it has an object of this very moment to compare the age of the others with: clocks differ.
func (s *bucket) begin(ctx context.Context, now time.Time) (draft, error) {
	d := &bucketDraft{bucket: s, called: newName(now)}
	if err := s.put(ctx, d.key(aliveFile), []byte(aliveText)); err != nil {
		return nil, s.failure(ctx, "writing", err)
	}
	if err := s.sweep(ctx); err != nil {
		return nil, errors.Join(s.failure(ctx, "listing", err), d.discard(ctx))
	}
	d.live(ctx)
	return d, nil
}

// sweep removes what killed runs have left. Only a listing that fails is an error.
func (s *bucket) sweep(ctx context.Context) error {
	all, err := s.objects(ctx, "")
	if err != nil {
		return err
	}
	before := newest(all).Add(-s.grace)
	for _, name := range dead(all, before) {
		// Once more, since it may have taken long until here.
		if again, err := s.objects(ctx, name+"/"); err != nil || len(dead(again, before)) == 0 {
			continue
		}
		_ = s.drop(ctx, name+"/"+dumpFile, name+"/"+aliveFile)
	}
	for _, name := range outlived(all, before) {
		_ = s.drop(ctx, name+"/"+aliveFile)
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	_, _ = s.Abandon(ctx, func(key string) bool {
		name, _, ok := splitKey(key)
		return ok && !slices.ContainsFunc(all, func(o stored) bool { return o.name == name && !o.written.Before(before) })
	}, before)
	return nil
}

// newest is when the last of the objects was written.
func newest(all []stored) (at time.Time) {
	for _, o := range all {
		if o.written.After(at) {
			at = o.written
		}
	}
	return at
}

// outlived are the names of backups whose runs were killed right after they had published them.
func outlived(all []stored, before time.Time) (names []string) {
	for _, o := range all {
		isManifest := func(other stored) bool { return other.name == o.name && other.file == manifestFile }
		if o.file == aliveFile && o.written.Before(before) && slices.ContainsFunc(all, isManifest) {
			names = append(names, o.name)
		}
	}
	return names
}

// dead are the names of drafts of which nothing was written since a time.
func dead(all []stored, before time.Time) (names []string) {
	spared := map[string]bool{}
	for _, o := range all {
		spared[o.name] = spared[o.name] || o.file == manifestFile || !o.written.Before(before)
	}
	for name, keep := range spared {
		if !keep {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *bucket) list(ctx context.Context) ([]contract.BackupReport, error) {
	all, err := s.objects(ctx, "")
	if err != nil {
		return nil, s.failure(ctx, "listing", err)
	}
	var reports []contract.BackupReport
	for _, o := range all {
		if o.file != manifestFile {
			continue
		}
		text, err := s.get(ctx, o.name+"/"+manifestFile)
		if errors.Is(err, objects.ErrAbsent) {
			continue // another run has removed it meanwhile
		}
		var report contract.BackupReport
		if err != nil {
			err = s.failure(ctx, "reading", err)
		} else {
			report, err = decodeManifest(o.name, text)
		}
		reports = append(reports, told(o.name, s.location, report, err))
	}
	slices.SortFunc(reports, func(a, b contract.BackupReport) int { return cmp.Compare(a.Name, b.Name) })
	return reports, nil
}

// get reads a small object.
func (s *bucket) get(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	object, err := s.Read(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(object, manifestLimit))
}

func (s *bucket) manifest(ctx context.Context, name string) (contract.BackupReport, error) {
	if err := checkName(name); err != nil {
		return contract.BackupReport{}, err
	}
	text, err := s.get(ctx, name+"/"+manifestFile)
	switch {
	case errors.Is(err, objects.ErrAbsent):
		return contract.BackupReport{}, noBackup(name, s.location)
	case err != nil:
		return contract.BackupReport{}, s.failure(ctx, "reading", err)
	}
	return decodeManifest(name, text)
}

func (s *bucket) dump(ctx context.Context, name string) (io.ReadCloser, error) {
	dump := &steady{ctx: ctx, name: name, bucket: s}
	err := dump.open(ctx)
	switch {
	case errors.Is(err, objects.ErrAbsent):
		return nil, noDump(name)
	case err != nil:
		return nil, s.failure(ctx, "reading", err)
	}
	return dump, nil
}

// remove deletes the manifest first: what is left then, should it end there, is an old draft.
func (s *bucket) remove(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	there, err := s.Exists(ctx, name+"/"+manifestFile)
	if err == nil && there {
		err = s.drop(ctx, name+"/"+manifestFile, name+"/"+dumpFile, name+"/"+aliveFile)
	}
	if err != nil {
		return false, s.failure(ctx, "removing", err)
	}
	return there, nil
}
