package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/resilience"
)

// Sum is the SHA-256 of a content.
type Sum [sha256.Size]byte

// String is the sum in hexadecimal.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// key is where the content lies. It is spread over 256 directories.
func (s Sum) key() string { return contentsPrefix + s.String()[:2] + "/" + s.String() }

const (
	contentsPrefix = "sha256/"
	incomingPrefix = "incoming/"
)

// ours reports whether a key is one that a Store writes: a bucket may hold other things.
func ours(key string) bool {
	return strings.HasPrefix(key, incomingPrefix) || strings.HasPrefix(key, contentsPrefix)
}

// Content is a file that was received.
type Content struct {
	SHA256 Sum
	// Size in bytes.
	Size int64
	// key is where it was received.
	key string
}

// Config says where files are kept. All fields are required.
type Config struct {
	Bucket objects.Bucket
	DB     *postgres.DB
	// Protection stands between the service and the bucket. A resilience.Shield that judges by Judge is one. An attempt may last as
	// long as a file is on its way.
	Protection Protection
	// Referrers are the columns that refer to contents, such as score_versions.sha256.
	Referrers []Column
}

// Column is a column of a table.
type Column struct{ Table, Name string }

// Protection stands between a caller and a dependency.
type Protection interface {
	// Do makes the call, again if it failed and may be made again; repeatable says that twice is the same as once.
	Do(ctx context.Context, repeatable bool, call func(context.Context) error) error
}

// Storage is what those who take files in need of a Store. Its methods are documented there.
type Storage interface {
	Receive(ctx context.Context, from io.Reader, limit int64, tooLarge error) (Content, error)
	Keep(ctx context.Context, c Content) error
	Forget(ctx context.Context, c Content)
	Claim(ctx context.Context, sum Sum) error
	Read(ctx context.Context, sum Sum) (objects.Object, error)
}

var _ Storage = (*Store)(nil)

// Store keeps files. It may be used by many goroutines.
type Store struct {
	cfg                                Config
	announce, claim, remove            *postgres.Statement
	unreferenced, lock, unused, strays *postgres.Statement
	lockUnknown                        *postgres.Statement
}

// New returns a store. It touches neither bucket nor database before it is used.
func New(cfg Config) *Store {
	db := cfg.DB
	return &Store{
		cfg:          cfg,
		announce:     db.Prepared("blobs.announce", announceBlob, postgres.Repeatable),
		claim:        db.Prepared("blobs.claim", claimBlob, postgres.Repeatable),
		remove:       db.Prepared("blobs.remove", removeBlob),
		unreferenced: db.Prepared("blobs.unreferenced", unreferencedBlobs(cfg.Referrers)),
		lock:         db.Prepared("blobs.lock", lockBlob),
		unused:       db.Prepared("blobs.unused", unusedBlob(cfg.Referrers)),
		strays:       db.Prepared("blobs.strays", strayKeys),
		lockUnknown:  db.Prepared("blobs.lock_unknown", lockUnknownBlob),
	}
}

const (
	// The update lets a sweep that is about to remove the content finish first, and keeps the next one from beginning.
	announceBlob = `insert into blobs (sha256, size) values ($1, $2)
	on conflict (sha256) do update set claimed_at = now()`

	claimBlob = `update blobs set claimed_at = now() where sha256 = $1`

	removeBlob = `delete from blobs where sha256 = $1`
)

// unavailable is what a client reads when the storage does not do its part.
const unavailable = "The storage of files is not available at the moment"

// fromClient is an error of a reader that a client feeds, which says nothing of the storage.
type fromClient struct{ error }

func (e fromClient) Unwrap() error { return e.error }

// source reads what a client sends: at most limit bytes, and hashes and counts it.
type source struct {
	from  io.Reader
	hash  interface{ Write([]byte) (int, error) }
	size  int64
	limit int64
	large error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.size += int64(n)
	if s.size > s.limit {
		return 0, fromClient{s.large}
	}
	_, _ = s.hash.Write(p[:n]) // a hash never fails
	if err != nil && !errors.Is(err, io.EOF) {
		err = fromClient{err}
	}
	return n, err
}

// Receive stores what from holds, at most limit bytes, and says what it was. Forget it in the end, whether it was kept or not.
// Faults: TooLarge, Unavailable; errors of from are returned as they are. After an error nothing is stored.
func (s *Store) Receive(ctx context.Context, from io.Reader, limit int64, tooLarge error) (Content, error) {
	sum := sha256.New()
	src := &source{from: from, hash: sum, limit: limit, large: tooLarge}
	c := Content{key: incomingPrefix + uuid.NewString()}
	err := s.do(ctx, false, func(ctx context.Context) error { return s.cfg.Bucket.Write(ctx, c.key, src, limit) })
	if client, ok := errors.AsType[fromClient](err); ok {
		return Content{}, client.error
	}
	if err != nil {
		return Content{}, err
	}
	c.Size = src.size
	sum.Sum(c.SHA256[:0])
	return c, nil
}

// Keep makes what was received a content. It is idempotent. Somebody must refer to it soon, or it is swept. Faults:
// Unavailable, and Conflict for what was swept already.
func (s *Store) Keep(ctx context.Context, c Content) error {
	// A sweep either sees from now on that the content is wanted, or has removed it before the question below.
	if _, err := s.announce.Exec(ctx, c.SHA256[:], c.Size); err != nil {
		return err
	}
	err := s.do(ctx, true, func(ctx context.Context) error {
		there, err := s.cfg.Bucket.Exists(ctx, c.SHA256.key())
		if err != nil || there {
			return err
		}
		return s.cfg.Bucket.Copy(ctx, c.SHA256.key(), c.key)
	})
	if errors.Is(err, objects.ErrAbsent) {
		return fault.Wrap(fault.Conflict, "The file was on its way for too long; send it again", err)
	}
	return err
}

// Forget removes what was received, but not the content that was made of it. What it cannot remove is swept.
func (s *Store) Forget(ctx context.Context, c Content) {
	if c.key == "" {
		return
	}
	_ = s.do(context.WithoutCancel(ctx), true, func(ctx context.Context) error { return s.cfg.Bucket.Delete(ctx, c.key) })
}

// Claim is called in a transaction that begins to refer to a content that was kept. Faults: Conflict if it is not there any more.
func (s *Store) Claim(ctx context.Context, sum Sum) error {
	n, err := s.claim.Exec(ctx, sum[:])
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "The file is not in the storage any more; send it again")
	}
	return err
}

// Read opens a content, which the caller closes. The context must last until then. Faults: NotFound, Unavailable.
func (s *Store) Read(ctx context.Context, sum Sum) (objects.Object, error) {
	var found objects.Object
	reading, giveUp := context.WithCancel(ctx)
	err := s.do(ctx, true, func(attempt context.Context) (err error) {
		stop := context.AfterFunc(attempt, giveUp)
		defer stop()
		found, err = s.cfg.Bucket.Read(reading, sum.key())
		return err
	})
	switch {
	case errors.Is(err, objects.ErrAbsent):
		giveUp()
		return nil, fault.Wrap(fault.NotFound, "The file is not in the storage", err)
	case err != nil:
		giveUp()
		return nil, err
	}
	return &opened{Object: found, close: giveUp}, nil
}

// opened frees its context when it is closed.
type opened struct {
	objects.Object
	close func()
}

// Close implements io.Closer.
func (o *opened) Close() error {
	defer o.close()
	return o.Object.Close()
}

// Check returns nil if the storage answers.
func (s *Store) Check(ctx context.Context) error { return s.cfg.Bucket.Check(ctx) }

// do makes a call of the bucket under its protection, and turns what the storage did not do into a fault.
func (s *Store) do(ctx context.Context, repeatable bool, call func(context.Context) error) error {
	err := s.cfg.Protection.Do(ctx, repeatable, call)
	if err == nil || errors.Is(err, objects.ErrAbsent) {
		return err
	}
	if _, ok := errors.AsType[fromClient](err); ok {
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return fault.Of(errors.Join(ctxErr, err))
	}
	return fault.Wrap(fault.Unavailable, unavailable, err)
}

// Judge says what an error of a Bucket tells about the storage.
func Judge(err error) resilience.Outcome {
	if _, ok := errors.AsType[fromClient](err); ok || errors.Is(err, objects.ErrAbsent) {
		return resilience.Served
	}
	return resilience.Lost
}
