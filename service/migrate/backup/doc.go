// Package backup dumps a PostgreSQL database and proves, before the dump counts as a backup, that it can be restored and is
// equal to what was dumped.
//
// It owns the dumps in a directory or a bucket: making, verifying, listing, restoring and removing them. How a bucket is reached is package
// objects' to say. It does not decide when a backup is needed, and knows nothing of snapshots of volumes or of the backups of an operator
// for PostgreSQL.
//
// Everything is compared within one exported snapshot, so writers go on meanwhile and no tolerance is needed:
//
//	snapshot ── hash tables ── pg_dump ──> NAME.unfinished/dump ── pg_restore ── scratch server ── hash tables ── equal? ──> NAME/
//
// A directory gets its final name when the proof is done, a bucket the manifest. What a killed run leaves has another name, or no manifest,
// and is removed by a later one. docs/backups.md is the manual.
package backup
