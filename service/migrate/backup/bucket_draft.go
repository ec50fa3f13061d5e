package backup

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// bucketDraft is a draft: an object that is written again and again, and the dump, without a manifest.
type bucketDraft struct {
	*bucket
	called string
	// stop ends the writing, and returns when it has ended.
	stop func()
	// published: nothing is to be discarded.
	published bool
}

func (d *bucketDraft) name() string { return d.called }

func (d *bucketDraft) key(file string) string { return d.called + "/" + file }

// live lets other runs know that this one is at work, until stop is called. A bucket that cannot be reached now and then is no reason to
// end: publish finds out whether another run has taken this one for dead.
func (d *bucketDraft) live(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var beating sync.WaitGroup
	beating.Go(func() {
		tick := time.NewTicker(d.beat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// One that was cut off might still arrive, after the last word.
				_ = d.put(context.WithoutCancel(ctx), d.key(aliveFile), []byte(aliveText))
			}
		}
	})
	d.stop = func() { cancel(); beating.Wait() }
}

// write hands over through a pipe, so that the dump is neither in memory nor on a disk.
func (d *bucketDraft) write(ctx context.Context, most int64, fill func(io.Writer) error) error {
	out, in := io.Pipe()
	var filling sync.WaitGroup
	filling.Go(func() { in.CloseWithError(filled(fill(in))) })
	err := d.Write(ctx, d.key(dumpFile), out, most)
	_ = out.CloseWithError(cmp.Or(err, io.ErrClosedPipe))
	filling.Wait()
	if ended, ok := errors.AsType[fillError](err); ok {
		return ended.error
	}
	if err != nil {
		return d.failure(ctx, "writing", err)
	}
	return nil
}

// fillError is one of whoever writes a dump, and says nothing of the bucket.
type fillError struct{ error }

func filled(err error) error {
	if err == nil {
		return nil
	}
	return fillError{err}
}

func (d *bucketDraft) read(ctx context.Context) (io.ReadCloser, error) { return d.dump(ctx, d.called) }

// publish makes sure on both sides of the moment from which the backup exists that nobody has taken this run for dead.
func (d *bucketDraft) publish(ctx context.Context, report contract.BackupReport) error {
	text, err := encodeManifest(report)
	if err != nil {
		return err
	}
	if err := d.put(ctx, d.key(aliveFile), []byte(aliveText)); err != nil {
		return d.failure(ctx, "writing", err)
	}
	if err := d.whole(ctx); err != nil {
		return err
	}
	if err := d.put(ctx, d.key(manifestFile), text); err != nil {
		return d.failure(ctx, "writing", err)
	}
	if err := d.whole(ctx); err != nil {
		return err
	}
	d.published = true
	return nil
}

// whole returns nil if the dump is there.
func (d *bucketDraft) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	there, err := d.Exists(ctx, d.key(dumpFile))
	switch {
	case err != nil:
		return d.failure(ctx, "reading", err)
	case !there:
		return migrate.NewError(contract.StorageUnavailable, "the bucket of backups, "+d.host+": it could not be reached for so long that "+
			"another run has removed what this one had written: run again")
	}
	return nil
}

// discard deletes the manifest first, which may be there though the bucket did not say so.
func (d *bucketDraft) discard(ctx context.Context) error {
	if d.stop != nil {
		d.stop()
	}
	keys := []string{d.key(manifestFile), d.key(dumpFile), d.key(aliveFile)}
	if d.published {
		keys = keys[2:]
	}
	if err := d.drop(context.WithoutCancel(ctx), keys...); err != nil {
		return d.failure(ctx, "removing", err)
	}
	return nil
}
