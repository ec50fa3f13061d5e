// Package cache keeps answers of slow things in memory, bounded in bytes. It owns how long a value may be used, when it has to be
// asked for again, and that many who want the same value cause one load. It knows neither what the values are nor how
// other processes learn of a change; package invalidation tells it of theirs.
//
// A value goes through these ages:
//
//	stored          fresh              revalidated            kept for bad times
//	  |-------- TTL ---|-- StaleWhileRevalidate --|
//	  |-------- TTL ---|------------ StaleIfError -----------|
//	  hit              stale, one reload behind   load first; stale only if that ends in Unavailable or Timeout
//
// Every value carries tags, the names of what it was made of. Invalidating a tag ends all values that carry it at once, and
// those that are being loaded meanwhile as well: a value counts as loaded when its load began. That is so in constant time, since
// nothing is searched: see Validity.
//
// A Front holds what was made of the values that are asked for most, by the same rules.
package cache
