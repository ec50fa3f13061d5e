package note

import (
	"context"
	"fmt"

	"github.com/mirubato/mirubato/service/chassis/encryption"
)

// Archive is what a rotation needs of the place where notes are kept. Errors are faults.
type Archive interface {
	// Stale returns the next notes that were encrypted by another key than this one, in the order of the IDs of their scores, at
	// most limit, beginning behind a score; "" begins at the start.
	Stale(ctx context.Context, key uint32, after string, limit int) ([]Row, error)
	// Reseal replaces the ciphertexts of the rows that are still at the version and not yet under the new key, all or none, and
	// returns how many those were. It does not count as a change.
	Reseal(ctx context.Context, rows []Row) (int64, error)
}

// Progress is how far a rotation has come.
type Progress struct {
	// Key is the one under which notes are brought.
	Key uint32
	// Done is how many notes were encrypted anew, Skipped how many others changed meanwhile.
	Done, Skipped int64
	// Failed are the scores whose notes were left alone, since they could not be decrypted, or the keyset changed under way.
	Failed []string
}

// batch is how many notes are encrypted anew in one transaction.
const batch = 200

// Rotate encrypts all notes anew that are not under the primary key. It may be cut off and run again, and run twice at once
// beside those who write. Passes are made until one finds nothing more to do, since a process that has the old keyset still may
// write behind the pass. report is told after each batch. The error is ErrNoKeys, a fault, or that of report.
func Rotate(ctx context.Context, archive Archive, keys *encryption.Keys, report func(Progress) error) (Progress, error) {
	var p Progress
	var err error
	if p.Key, err = keys.Primary(); err != nil {
		return p, err
	}
	for {
		before := p.Done + p.Skipped
		p.Failed = nil
		if err := pass(ctx, archive, keys, &p, report); err != nil {
			return p, err
		}
		if p.Done+p.Skipped == before {
			return p, nil
		}
	}
}

// pass goes through all notes once.
func pass(ctx context.Context, archive Archive, keys *encryption.Keys, p *Progress, report func(Progress) error) error {
	for after := ""; ; {
		rows, err := archive.Stale(ctx, p.Key, after, batch)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ScoreID
		fresh, failed := reseal(keys, p.Key, rows)
		done, err := archive.Reseal(ctx, fresh)
		if err != nil {
			return err
		}
		p.Done, p.Skipped, p.Failed = p.Done+done, p.Skipped+int64(len(fresh))-done, append(p.Failed, failed...)
		if err := report(*p); err != nil {
			return fmt.Errorf("reporting progress: %w", err)
		}
	}
}

// reseal returns the rows under the key, and the scores of those that it could not decrypt. A row for which the keyset has
// another primary key by now is left for the next run.
func reseal(keys *encryption.Keys, key uint32, rows []Row) (fresh []Row, failed []string) {
	for _, row := range rows {
		text, err := keys.Open(row.Sealed, row.place())
		if err == nil {
			row.Sealed, err = keys.Seal(text, row.place())
		}
		if err != nil || row.Sealed.KeyID != key {
			failed = append(failed, row.ScoreID)
			continue
		}
		fresh = append(fresh, row)
	}
	return fresh, failed
}
