package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	cloud "gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"
)

// ErrAbsent is what a Bucket returns for a key under which there is nothing.
var ErrAbsent = errors.New("no such object")

// Bucket is where objects lie. Its methods are called by many goroutines. An error is ErrAbsent, or means that the storage did not do
// what it was told; errors of a reader that is given come back as they are.
type Bucket interface {
	// Write makes an object of what from holds: all of it or, after an error, nothing. Most is how many bytes that are expected to be at
	// most. A bucket takes 10,000 parts, so they have 5 MiB, and a ten thousandth of most beyond 48 GiB; memory holds about three at a
	// time, and the first 16 MiB.
	Write(ctx context.Context, key string, from io.Reader, most int64) error
	// Read opens an object. The context must last until it is closed.
	Read(ctx context.Context, key string) (Object, error)
	// Copy makes a second object of the same content, which is durable when it returns.
	Copy(ctx context.Context, to, from string) error
	// Delete removes an object, whether it is there or not.
	Delete(ctx context.Context, key string) error
	// Exists reports whether there is an object.
	Exists(ctx context.Context, key string) (bool, error)
	// List hands on the objects whose keys begin with the prefix, in their order, until an error. One may be handed on again.
	List(ctx context.Context, prefix string, each func(key string, written time.Time) error) error
	// Abandon removes what writes under the keys that are mine have left that began before the time and never ended, and counts them.
	// What such a write leaves under a key that List shows is not its affair.
	Abandon(ctx context.Context, mine func(key string) bool, before time.Time) (int, error)
	// Check returns nil if the storage answers.
	Check(ctx context.Context) error
	// Close frees what the bucket holds.
	Close() error
}

// Object is an object that is being read.
type Object interface {
	io.ReadSeekCloser
	// Size is its length in bytes.
	Size() int64
}

// What S3 takes: the least size of a part in bytes, and how many parts an object may have.
const (
	leastPart = 5 << 20
	mostParts = 10_000
)

// partSize is how much of an object of at most so many bytes goes to a bucket at once, one part after the other.
func partSize(most int64) int { return int(max(leastPart, (most+mostParts-1)/mostParts)) }

// bucket is a Bucket on gocloud.dev.
type bucket struct {
	*cloud.Bucket
	// writing is the same bucket for those who write, who cannot do so again.
	writing *cloud.Bucket
	// sync makes the object under a key durable; nil if it is when it was written.
	sync func(key string) error
	// abandon is Abandon; nil if writes that never ended leave nothing but files.
	abandon func(ctx context.Context, mine func(key string) bool, before time.Time) (int, error)
}

// Calls says how often a call of a bucket is made. The parts of a Write are sent again in any case: nobody else can.
type Calls int

const (
	// Once is for callers who decide by themselves about another attempt.
	Once Calls = iota
	// Again makes a call up to three times that may succeed then.
	Again
)

// scheme begins the URL of a bucket.
const scheme = "s3://"

// IsURL reports whether a place is the URL of a bucket, and not a directory.
func IsURL(where string) bool { return strings.HasPrefix(where, scheme) }

// Open opens a bucket: a directory, which is made if it is missing, or an s3:// URL, whose parameters are those of
// https://gocloud.dev/howto/blob/#s3-compatible and whose credentials are found where the AWS SDK looks for them. Those in a file,
// which AWS_SHARED_CREDENTIALS_FILE names, are read again while the bucket is open, so they may rotate. Opening asks nothing of a bucket.
func Open(ctx context.Context, where string, calls Calls) (Bucket, error) {
	if IsURL(where) {
		opened, err := openS3(ctx, where, calls)
		if err != nil {
			return nil, fmt.Errorf("opening the storage: %w", err)
		}
		return opened, nil
	}
	dir := strings.TrimPrefix(where, "file://")
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("opening the storage: %q is neither an absolute path nor an s3:// URL", withoutSecrets(where))
	}
	opened, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the storage: %w", err)
	}
	return &bucket{Bucket: opened, writing: opened, sync: func(key string) error { return syncFile(filepath.Join(dir, filepath.FromSlash(key))) }}, nil
}

// withoutSecrets is a place for people to read.
func withoutSecrets(where string) string {
	if parsed, err := url.Parse(where); err == nil {
		return parsed.Redacted()
	}
	return "it"
}

// syncFile makes a file that was renamed into its place survive a loss of power.
func syncFile(path string) error {
	for _, each := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(each)
		if errors.Is(err, fs.ErrNotExist) {
			return ErrAbsent // it was swept at once
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("making %s durable: %w", filepath.Base(each), err)
		}
	}
	return nil
}

// Write implements Bucket.
func (b *bucket) Write(ctx context.Context, key string, from io.Reader, most int64) error {
	// A writer whose context has ended when it is closed leaves nothing.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.writing.NewWriter(ctx, key, &cloud.WriterOptions{
		ContentType: "application/octet-stream", BufferSize: partSize(most), MaxConcurrency: 1,
	})
	if err != nil {
		return fmt.Errorf("writing an object: %w", err)
	}
	if _, err := io.Copy(onlyWriter{w}, from); err != nil {
		cancel()
		_ = w.Close() // the first error is the one that matters
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing an object: %w", err)
	}
	return nil
}

// onlyWriter hides that a writer can read by itself, which would hide whose error it was.
type onlyWriter struct{ io.Writer }

// Read implements Bucket.
func (b *bucket) Read(ctx context.Context, key string) (Object, error) {
	r, err := b.NewReader(ctx, key, nil)
	if err != nil {
		return nil, absent("reading", err)
	}
	return r, nil
}

// Copy implements Bucket.
func (b *bucket) Copy(ctx context.Context, to, from string) error {
	if err := b.Bucket.Copy(ctx, to, from, nil); err != nil {
		return absent("copying", err)
	}
	if b.sync != nil {
		return b.sync(to)
	}
	return nil
}

// Delete implements Bucket.
func (b *bucket) Delete(ctx context.Context, key string) error {
	if err := absent("deleting", b.Bucket.Delete(ctx, key)); !errors.Is(err, ErrAbsent) {
		return err
	}
	return nil
}

// Exists implements Bucket.
func (b *bucket) Exists(ctx context.Context, key string) (bool, error) {
	there, err := b.Bucket.Exists(ctx, key)
	return there, absent("looking for", err)
}

// listings is how often a listing begins anew that was disturbed.
const listings = 5

// List implements Bucket. A listing of a directory ends when a file goes away under its hands, so it begins anew then.
func (b *bucket) List(ctx context.Context, prefix string, each func(string, time.Time) error) (err error) {
	for range listings {
		if err = b.list(ctx, prefix, each); gcerrors.Code(err) != gcerrors.NotFound {
			return err
		}
	}
	return err
}

func (b *bucket) list(ctx context.Context, prefix string, each func(string, time.Time) error) error {
	for objects := b.Bucket.List(&cloud.ListOptions{Prefix: prefix}); ; {
		o, err := objects.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("listing objects: %w", err)
		}
		if err := each(o.Key, o.ModTime); err != nil {
			return err
		}
	}
}

// Abandon implements Bucket.
func (b *bucket) Abandon(ctx context.Context, mine func(key string) bool, before time.Time) (int, error) {
	if b.abandon == nil {
		return 0, nil
	}
	return b.abandon(ctx, mine, before)
}

// Close implements Bucket.
func (b *bucket) Close() error {
	if b.writing == b.Bucket {
		return b.Bucket.Close()
	}
	return errors.Join(b.writing.Close(), b.Bucket.Close())
}

// Check implements Bucket.
func (b *bucket) Check(ctx context.Context) error {
	ok, err := b.IsAccessible(ctx)
	if err == nil && !ok {
		return errors.New("the bucket cannot be accessed")
	}
	return err
}

func absent(act string, err error) error {
	switch {
	case err == nil:
		return nil
	case gcerrors.Code(err) == gcerrors.NotFound && ReasonOf(err) != NoBucket:
		return ErrAbsent
	}
	return fmt.Errorf("%s an object: %w", act, err)
}
