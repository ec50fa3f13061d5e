package blob

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
)

// Grace is how long something may lie in the storage to which nobody refers: far longer than a file may be on its way.
const Grace = time.Hour

// sweepBatch is how many contents are looked at in one statement.
const sweepBatch = 500

// shards are the directories of contents. Each is listed by itself: a listing of a directory takes as long as it is large, for each
// page of it.
const shards = 256

// noReferrer is the condition that nobody refers to the row b of blobs.
func noReferrer(referrers []Column) string {
	var text strings.Builder
	for _, r := range referrers {
		text.WriteString(" and not exists (select from " + pq.QuoteIdentifier(r.Table) + " r where r." + pq.QuoteIdentifier(r.Name) + " = b.sha256)")
	}
	return text.String()
}

func unreferencedBlobs(referrers []Column) string {
	return `select sha256 from blobs b where claimed_at < now() - $1::bigint * interval '1 second'` + noReferrer(referrers) +
		` order by claimed_at limit $2`
}

const lockBlob = `select true from blobs where sha256 = $1 for update`

// unusedBlob is asked once the row is locked: a condition of the statement that waits for the lock would not see who began to refer
// to the content while it waited.
func unusedBlob(referrers []Column) string {
	return `select true from blobs b where sha256 = $1 and claimed_at < now() - $2::bigint * interval '1 second'` + noReferrer(referrers)
}

// strayKeys are those among the sums that are no content.
const strayKeys = `select sum from unnest($1::bytea[]) as sum where not exists (select from blobs where sha256 = sum)`

const lockUnknownBlob = `insert into blobs (sha256, size) values ($1, 1) on conflict do nothing`

// Swept is what a sweep removed.
type Swept struct {
	// Contents to which nobody referred any more.
	Contents int
	// Strays are objects that never became a content, and writes that never ended.
	Strays int
}

// Sweep removes what nobody refers to and is older than the grace, as Grace is outside of tests. It may be stopped at any moment and
// run at the same time by several processes.
func (s *Store) Sweep(ctx context.Context, grace time.Duration) (Swept, error) {
	var swept Swept
	err := errors.Join(
		s.sweepContents(ctx, grace, &swept),
		s.sweepIncoming(ctx, grace, &swept),
		s.sweepStrays(ctx, grace, &swept),
	)
	return swept, err
}

// sweepContents removes contents. The row is locked while the object is removed, so that nobody who has asked for the row relies on
// the object; should the process end in between, the row is found again.
func (s *Store) sweepContents(ctx context.Context, grace time.Duration, swept *Swept) error {
	for {
		var sums []Sum
		err := s.unreferenced.Query(ctx, func(rows *sql.Rows) error {
			var raw []byte
			err := rows.Scan(&raw)
			sums = append(sums, Sum(raw))
			return err
		}, int64(grace/time.Second), sweepBatch)
		if err != nil {
			return err
		}
		removed := 0
		for _, sum := range sums {
			gone, err := s.removeUnused(ctx, sum, grace)
			if err != nil {
				return err
			}
			if gone {
				removed++
			}
		}
		swept.Contents += removed
		if len(sums) < sweepBatch || removed == 0 {
			return nil
		}
	}
}

func (s *Store) removeUnused(ctx context.Context, sum Sum, grace time.Duration) (removed bool, err error) {
	err = s.cfg.DB.Atomically(ctx, func(ctx context.Context) error {
		err := s.lock.QueryRow(ctx, []any{&removed}, sum[:])
		removed = false
		if err == nil {
			err = s.unused.QueryRow(ctx, []any{&removed}, sum[:], int64(grace/time.Second))
		}
		if errors.Is(err, postgres.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.do(ctx, true, func(ctx context.Context) error { return s.cfg.Bucket.Delete(ctx, sum.key()) }); err != nil {
			return err
		}
		_, err = s.remove.Exec(ctx, sum[:])
		return err
	})
	return removed && err == nil, err
}

// sweepIncoming removes what was received and neither kept nor forgotten, and what was never received as a whole.
func (s *Store) sweepIncoming(ctx context.Context, grace time.Duration, swept *Swept) error {
	err := s.cfg.Bucket.List(ctx, incomingPrefix, func(key string, written time.Time) error {
		if time.Since(written) < grace {
			return nil
		}
		return s.removeStray(ctx, key, swept)
	})
	if err != nil {
		return err
	}
	return s.do(ctx, true, func(ctx context.Context) error {
		abandoned, err := s.cfg.Bucket.Abandon(ctx, ours, time.Now().Add(-grace))
		swept.Strays += abandoned
		return err
	})
}

// sweepStrays removes objects among the contents that are none: their rows are gone, or they are halves that a killed process left.
func (s *Store) sweepStrays(ctx context.Context, grace time.Duration, swept *Swept) error {
	for shard := range shards {
		var old [][]byte
		look := func() error {
			defer func() { old = old[:0] }()
			return s.removeStrays(ctx, old, swept)
		}
		prefix := contentsPrefix + hex.EncodeToString([]byte{byte(shard)}) + "/"
		err := s.cfg.Bucket.List(ctx, prefix, func(key string, written time.Time) error {
			if time.Since(written) < grace {
				return nil
			}
			sum, err := hex.DecodeString(strings.TrimPrefix(key, prefix))
			if err != nil || len(sum) != len(Sum{}) {
				return s.removeStray(ctx, key, swept)
			}
			if old = append(old, sum); len(old) == sweepBatch {
				return look()
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := look(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) removeStrays(ctx context.Context, sums [][]byte, swept *Swept) error {
	if len(sums) == 0 {
		return nil
	}
	var strays []Sum
	err := s.strays.Query(ctx, func(rows *sql.Rows) error {
		var raw []byte
		err := rows.Scan(&raw)
		strays = append(strays, Sum(raw))
		return err
	}, pq.ByteaArray(sums))
	if err != nil {
		return err
	}
	for _, sum := range strays {
		if err := s.removeUnknown(ctx, sum, swept); err != nil {
			return err
		}
	}
	return nil
}

// removeUnknown removes an object that is no content, with the row of the content locked that it would be: whoever receives the same
// content meanwhile waits, and then does not find it.
func (s *Store) removeUnknown(ctx context.Context, sum Sum, swept *Swept) error {
	return s.cfg.DB.Atomically(ctx, func(ctx context.Context) error {
		locked, err := s.lockUnknown.Exec(ctx, sum[:])
		if err != nil || locked == 0 {
			return err
		}
		if err := s.removeStray(ctx, sum.key(), swept); err != nil {
			return err
		}
		_, err = s.remove.Exec(ctx, sum[:])
		return err
	})
}

func (s *Store) removeStray(ctx context.Context, key string, swept *Swept) error {
	err := s.do(ctx, true, func(ctx context.Context) error { return s.cfg.Bucket.Delete(ctx, key) })
	if err == nil {
		swept.Strays++
	}
	return err
}
