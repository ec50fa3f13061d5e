package cache

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// Mark is a moment in the order of invalidations. What is loaded after a mark was taken holds everything that was invalidated
// before it.
type Mark uint64

// slotCount bounds the memory that tags take. Tags that share a slot are invalidated together, which costs a load and no more.
const slotCount = 1 << 16

// Validity knows which values still hold. All caches of a process share one. Invalidations are numbered; a slot for each
// tag holds the number of its last one, and a value holds if it was loaded after the last one of each of its tags:
//
//	reader: mark = 7, reads the old row ........................ stores it under mark 7: slot says 8, it never holds
//	writer:             writes the new row, invalidates: slot = 8
//
// It may be used by many goroutines.
type Validity struct {
	now      func() time.Time
	patience time.Duration
	seed     maphash.Seed

	sequence atomic.Uint64
	slots    [slotCount]atomic.Uint64
	// purged and doubted are the numbers before which no value holds, or none may be used unasked.
	purged, doubted atomic.Uint64
	// heard is until when every change is known, in nanoseconds of Unix time.
	heard atomic.Int64
}

// NewValidity returns the validity of a process's values. Unless Confirm was told so within patience, changes that others made may be unknown,
// and every value is in doubt: it is asked for again before it is used, and used all the same only if nobody can be asked.
// Patience 0 is for a process that is alone.
func NewValidity(now func() time.Time, patience time.Duration) *Validity {
	return &Validity{now: now, patience: patience, seed: maphash.MakeSeed()}
}

// Mark returns the present moment.
func (v *Validity) Mark() Mark { return Mark(v.sequence.Load()) }

// Invalidate ends all values that carry one of the tags, and those that are being loaded.
func (v *Validity) Invalidate(tags ...string) {
	for _, tag := range tags {
		raise(&v.slots[v.slot(tag)], v.sequence.Add(1))
	}
}

// Purge ends all values.
func (v *Validity) Purge() { raise(&v.purged, v.sequence.Add(1)) }

// Doubt puts all values in doubt that were loaded before, since changes may have been missed.
func (v *Validity) Doubt() { raise(&v.doubted, v.sequence.Add(1)) }

// Confirm says that every change made by anybody until then has been invalidated.
func (v *Validity) Confirm(until time.Time) { v.heard.Store(until.UnixNano()) }

// Doubtful reports whether changes that others make may be unknown at present.
func (v *Validity) Doubtful() bool { return v.isDoubtful(v.now()) }

func (v *Validity) isDoubtful(now time.Time) bool {
	return v.patience > 0 && now.UnixNano()-v.heard.Load() > int64(v.patience)
}

// holds reports whether what was loaded at the mark, with tags in the slots, is still what a load would find, as far as is known.
func (v *Validity) holds(at Mark, slots []byte) bool {
	if uint64(at) < v.purged.Load() {
		return false
	}
	for ; len(slots) >= slotSize; slots = slots[slotSize:] {
		if v.slots[binary.LittleEndian.Uint16(slots)].Load() > uint64(at) {
			return false
		}
	}
	return true
}

// sure reports whether what was loaded at the mark may be used at the time without asking.
func (v *Validity) sure(at Mark, now time.Time) bool {
	return uint64(at) >= v.doubted.Load() && !v.isDoubtful(now)
}

// slotSize is the size of a slot's number in bytes.
const slotSize = 2

func (v *Validity) slot(tag string) uint16 {
	return uint16(maphash.String(v.seed, tag)) //nolint:gosec // a hash that is cut off
}

func (v *Validity) appendSlot(to []byte, tag string) []byte {
	return binary.LittleEndian.AppendUint16(to, v.slot(tag))
}

// raise stores the number unless a greater one is there.
func raise(to *atomic.Uint64, number uint64) {
	for {
		present := to.Load()
		if present >= number || to.CompareAndSwap(present, number) {
			return
		}
	}
}
