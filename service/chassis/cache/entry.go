package cache

import (
	"encoding/binary"
	"math"
	"time"
)

// entry is a value as it lies in memory:
//
//	stored, fresh until, revalidated until, kept until: 4 x int64 milliseconds of Unix time
//	mark: uint64   number of slots: uint16   slots: 2 bytes each   value
type entry struct {
	stored, fresh, revalidated, kept int64
	mark                             Mark
	slots, value                     []byte
}

const fixedSize = 5*8 + 2

// maxTags is how many tags a value may carry.
const maxTags = math.MaxUint16 - 1

func (e entry) encode() []byte {
	b := make([]byte, 0, fixedSize+len(e.slots)+len(e.value))
	for _, at := range []int64{e.stored, e.fresh, e.revalidated, e.kept} {
		b = binary.LittleEndian.AppendUint64(b, uint64(at)) //nolint:gosec // the same bits
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(e.mark))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.slots)/slotSize)) //nolint:gosec // at most maxTags and the key's
	return append(append(b, e.slots...), e.value...)
}

// decode reads what encode wrote; the parts of the entry lie in b.
func decode(b []byte) (entry, bool) {
	if len(b) < fixedSize {
		return entry{}, false
	}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i*8:]) }
	e := entry{
		stored: int64(number(0)), fresh: int64(number(1)), //nolint:gosec // the same bits
		revalidated: int64(number(2)), kept: int64(number(3)), //nolint:gosec // the same bits
		mark: Mark(number(4)),
	}
	size := int(binary.LittleEndian.Uint16(b[40:])) * slotSize
	if len(b) < fixedSize+size {
		return entry{}, false
	}
	e.slots, e.value = b[fixedSize:fixedSize+size], b[fixedSize+size:]
	return e, true
}

// use is what may be done with an entry.
type use int

const (
	// useNever: it does not hold, or is too old.
	useNever use = iota
	// useIfAway: only if a load finds that what it asks is away.
	useIfAway
	// useMeanwhile: while it is loaded again.
	useMeanwhile
	// useNow: as it is.
	useNow
)

// judge decides what may be done with the entry at the time.
func (e entry) judge(now time.Time, v *Validity) use {
	at := now.UnixMilli()
	switch {
	case at >= max(e.fresh, e.revalidated, e.kept) || !v.holds(e.mark, e.slots):
		return useNever
	case v.sure(e.mark, now) && at < e.fresh:
		return useNow
	case v.sure(e.mark, now) && at < e.revalidated:
		return useMeanwhile
	case at < e.kept:
		return useIfAway
	}
	return useNever
}

func (e entry) age(now time.Time) time.Duration {
	return max(0, time.Duration(now.UnixMilli()-e.stored)*time.Millisecond)
}
