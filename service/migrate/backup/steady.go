package backup

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/mirubato/mirubato/service/chassis/objects"
)

const (
	// stalled is how long a connection may send nothing. Who reads may take longer.
	stalled = 2 * time.Minute
	// resumptions is how often in a row a connection may break before anything comes.
	resumptions = 5
)

// steady reads an object to its end, although connections break: a dump may be on its way for hours. Its errors are *migrate.Error, and
// once there was one it stays.
type steady struct {
	ctx    context.Context
	bucket *bucket
	// name is that of the backup.
	name string

	object objects.Object
	cancel context.CancelFunc
	at     int64
	err    error
}

// open opens the object, where it was left.
func (r *steady) open(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := time.AfterFunc(stalled, cancel)
	defer stop.Stop()
	object, err := r.bucket.Read(ctx, r.name+"/"+dumpFile)
	if err == nil {
		_, err = object.Seek(r.at, io.SeekStart)
	}
	if err != nil {
		cancel()
		return err
	}
	r.object, r.cancel = object, cancel
	return nil
}

// Read implements io.Reader.
func (r *steady) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	waits := backoff.NewExponentialBackOff()
	for broken := 0; ; broken++ {
		n, err := r.attempt(p)
		switch {
		case n > 0 || err == nil:
			return n, nil // what broke is found again by the next call
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case errors.Is(err, objects.ErrAbsent):
			r.err = noDump(r.name)
		case r.ctx.Err() != nil || broken == resumptions:
			r.err = r.bucket.failure(r.ctx, "reading", err)
		}
		if r.err != nil {
			return 0, r.err
		}
		select {
		case <-r.ctx.Done():
		case <-time.After(waits.NextBackOff()):
		}
	}
}

func (r *steady) attempt(p []byte) (int, error) {
	if r.object == nil {
		if err := r.open(r.ctx); err != nil {
			return 0, err
		}
	}
	if r.at == r.object.Size() {
		return 0, io.EOF
	}
	stop := time.AfterFunc(stalled, r.cancel)
	n, err := r.object.Read(p)
	stop.Stop()
	r.at += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		_ = r.Close() // the next attempt opens it again
	}
	return n, err
}

// Close implements io.Closer.
func (r *steady) Close() error {
	if r.object == nil {
		return nil
	}
	defer r.cancel()
	err := r.object.Close()
	r.object = nil
	return err
}
