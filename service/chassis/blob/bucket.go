package blob

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
	// Write makes an object of what from holds: all of it or, after an error, nothing.
	Write(ctx context.Context, key string, from io.Reader) error
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

// partSize is how much of an object goes to a bucket at once, one part after the other: the least that S3 takes.
const partSize = 5 << 20

// bucket is a Bucket on gocloud.dev.
type bucket struct {
	*cloud.Bucket
	// sync makes the object under a key durable; nil if it is when it was written.
	sync func(key string) error
}

// Open opens a bucket: a directory, which is made if it is missing, or an s3:// URL, whose parameters are those of
// https://gocloud.dev/howto/blob/#s3-compatible and whose credentials are found where the AWS SDK looks for them.
// Those of a file, AWS_SHARED_CREDENTIALS_FILE, may change at any time.
func Open(ctx context.Context, where string) (Bucket, error) {
	if strings.HasPrefix(where, "s3://") {
		opened, err := openS3(ctx, where)
		if err != nil {
			return nil, fmt.Errorf("opening the storage: %w", err)
		}
		return &bucket{Bucket: opened}, nil
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
	return &bucket{Bucket: opened, sync: func(key string) error { return syncFile(filepath.Join(dir, filepath.FromSlash(key))) }}, nil
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
func (b *bucket) Write(ctx context.Context, key string, from io.Reader) error {
	// A writer whose context has ended when it is closed leaves nothing.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.NewWriter(ctx, key, &cloud.WriterOptions{
		ContentType: "application/octet-stream", BufferSize: partSize, MaxConcurrency: 1,
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
	case gcerrors.Code(err) == gcerrors.NotFound:
		return ErrAbsent
	}
	return fmt.Errorf("%s an object: %w", act, err)
}
