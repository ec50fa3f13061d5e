// Package migrate changes the schema of a PostgreSQL database, for any service, by applying the SQL files of a
// directory in the order of their numbers.
//
// It owns the rules for those files, the lock that lets only one run change a database at a time, the record of what
// was applied, retries, and the errors and reports that callers act on. It does not decide when a migration may run:
// that is the operator's business.
//
// The truth is in the database. A run reads what was applied, compares it with the files, refuses what does not fit
// before anything is changed, and then applies one file after the other, each with a connection of its own:
//
//	lock ── read history ── plan ─┬─ 2_add_key.sql ── 3_index_key.sql ──┬─ unlock
//	                              └─ refused: nothing has been touched ─┘
//
// docs/migrations.md is the manual.
package migrate
