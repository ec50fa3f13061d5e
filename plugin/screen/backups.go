package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/mirubato/mirubato/plugin/database"
)

// Backups shows backups, in the order given, a line each. Of those that somebody else has made less is known.
func Backups(backups []database.Backup, wide bool, now time.Time) string {
	header := []string{"ENVIRONMENT", "BACKUP", "RELEASE", "AGE", "SIZE", "TOOK", "LSN", "ROWS", "VERDICT", "PLACE", "KEPT"}
	if wide {
		header = append(header, "BEFORE", "RESTORED IN", "TABLES", "SCHEMA", "DATABASE", "SERVER", "SHA-256")
	}
	t := newTable(header...)
	for _, b := range backups {
		size, rows, restored, tables, schema := bytes(b.Size), fmt.Sprint(b.Rows), span(&b.Restored), fmt.Sprint(b.Tables), fmt.Sprint(b.SchemaVersion)
		if b.Method != "" {
			rows, restored, tables, schema = "", "", "", ""
			if b.Size == 0 {
				size = ""
			}
		}
		row := []string{b.Environment, b.Name, b.Release, age(b.StartedAt.Time, now), size, span(&b.Took), b.LSN, rows, b.Verdict, b.Place(), kept(b)}
		if wide {
			row = append(row, string(b.Before), restored, tables, schema, b.Database, b.ServerVersion, b.SHA256)
		}
		t.row(row...)
	}
	return t.String()
}

// kept says until when a backup stays.
func kept(b database.Backup) string {
	switch left := int(b.Retain) - b.Newer; {
	case b.Retain == 0:
		return "no more are made"
	case left <= 0:
		return fmt.Sprintf("removed: %d newer", b.Newer)
	default:
		return "until " + counted(int64(left), "newer one")
	}
}

// bytes are a size in decimal units.
func bytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n), []string{"kB", "MB", "GB", "TB"}
	i := -1
	for value >= unit && i < len(units)-1 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}

// Loss says what is missing in a database that is restored from a backup.
func Loss(environment, backup string, loss database.Loss, now time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Backup %s of %s was taken %s ago, at %s.\n", backup, environment, age(loss.Taken, now), loss.Taken.UTC().Format(time.RFC3339))
	out.WriteString("What was written since is NOT in it.")
	if loss.Then != nil && loss.Now != nil {
		fmt.Fprintf(&out, " Its schema is %d; that of %s is %d.", *loss.Then, environment, *loss.Now)
	}
	out.WriteString("\n")
	if len(loss.Releases) > 0 {
		fmt.Fprintf(&out, "  releases that came since:           %s\n", strings.Join(loss.Releases, ", "))
	}
	if len(loss.Migrations) > 0 {
		var names []string
		for _, m := range loss.Migrations {
			names = append(names, m.Name)
		}
		fmt.Fprintf(&out, "  migrations that were applied since: %s\n", strings.Join(names, ", "))
	}
	return out.String()
}

// Restored is a database that was made from a backup, and what an environment reads the URL of its database from.
type Restored struct {
	Environment, Namespace, Database string
	Rows                             int64
	Tables                           int
	Took                             time.Duration
	// Secrets are those that hold the URL of the database in use, each with its key, as "scores-database (key url)".
	Secrets []string
	// Then and Now are versions of the schema, of the new database and of the one in use; nil where they are not known.
	Then, Now *int64
}

// Use tells that a database is there, and how a person lets an environment use it.
func Use(r Restored) string {
	var out strings.Builder
	fmt.Fprintf(&out, "The database %s is there: %s in %s, equal to what was backed up. It took %s.\n",
		r.Database, counted(r.Rows, "row"), counted(int64(r.Tables), "table"), r.Took.Round(time.Second/10))
	fmt.Fprintf(&out, "\nNothing uses it, and the database of %s is as it was. To let %s use it:\n", r.Environment, r.Environment)
	fmt.Fprintf(&out, "  1. Make Secrets in %s like %s, with the name of the database in the URL changed to %s.\n",
		r.Namespace, strings.Join(r.Secrets, " and "), r.Database)
	fmt.Fprintf(&out, "  2. Name them in the Microservice, under overrides.database of %s, and apply it: a release is cut.\n", r.Environment)
	if r.Then != nil && r.Now != nil && *r.Then < *r.Now {
		fmt.Fprintf(&out, "     It migrates the new database from schema %d to that of its files before pods use it.\n", *r.Then)
	}
	out.WriteString("What is written to the database in use until then is not in the new one.\n")
	return out.String()
}
