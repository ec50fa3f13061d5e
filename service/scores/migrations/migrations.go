// Package migrations holds the database schema of the scores service: the SQL files and the lowest version on which
// this release can run. It applies nothing; package migrate and mirubato-migrate do.
package migrations

import "embed"

// MinimumVersion is the lowest schema version on which this release can run. It may be lower than the newest file: a
// release works on the schema of the release before, so that a rollback needs no change of the schema. Raise it only
// when the code starts to need what a file brings.
const MinimumVersion int64 = 22

// Files are the migrations, in the root of the file system.
//
//go:embed *.sql
var Files embed.FS
