package lint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/service/migrate"
)

// A Catalogue is what a database holds: its tables with their sizes, its types, and the migrations that it has applied. It can be made from
// a database by ReadCatalogue and, without sizes, from files by Replay.
type Catalogue struct {
	schema *schema
	// applied are the versions that the database has, with their checksums where they are known.
	checksums map[int64]string
	applied   map[int64]bool
	current   int64
}

// Replay makes the catalogue of a database to which exactly these files have been applied. Files that cannot be read are left out; what
// they would have made counts as having been there all along.
func Replay(files []File) *Catalogue {
	c := &Catalogue{schema: newSchema(), checksums: map[int64]string{}, applied: map[int64]bool{}}
	for _, f := range inOrder(files) {
		c.applied[f.version] = true
		c.current = max(c.current, f.version)
		script, err := migrate.ReadScript(f.Content)
		if err != nil {
			continue
		}
		c.schema.path = c.schema.home
		for _, text := range script.Statements {
			tree, err := pgquery.Parse(text.Text)
			if err != nil {
				continue
			}
			for _, raw := range tree.GetStmts() {
				c.schema.replay(raw.GetStmt())
			}
		}
	}
	return c
}

// versioned is a file with its version; 0 if its name has none.
type versioned struct {
	File
	version int64
	nameErr error
}

func inOrder(files []File) []versioned {
	sorted := make([]versioned, len(files))
	for i, f := range files {
		version, err := migrate.FileVersion(filepath.Base(f.Name))
		sorted[i] = versioned{f, version, err}
	}
	slices.SortStableFunc(sorted, func(a, b versioned) int { return int(min(1, max(-1, a.version-b.version))) })
	return sorted
}

// clone makes a copy that shares nothing that replaying changes.
func (s *schema) clone() *schema {
	c := *s
	c.types, c.routines, c.routineMade, c.spaces = map[name]*userType{}, maps.Clone(s.routines), maps.Clone(s.routineMade), maps.Clone(s.spaces)
	for n, t := range s.types {
		copied := *t
		c.types[n] = &copied
	}
	twins := map[*relation]*relation{nil: nil}
	for _, r := range s.relations {
		twins[r] = &relation{}
	}
	c.relations = make(map[name]*relation, len(s.relations))
	for n, r := range s.relations {
		*twins[r] = r.twin(twins)
		c.relations[n] = twins[r]
	}
	c.statistics = make(map[name]*relation, len(s.statistics))
	for n, r := range s.statistics {
		c.statistics[n] = twins[r]
	}
	return &c
}

func (r *relation) twin(twins map[*relation]*relation) relation {
	t := *r
	t.table, t.parent, t.triggers = twins[r.table], twins[r.parent], maps.Clone(r.triggers)
	t.columns, t.constraints, t.children, t.uses = nil, nil, nil, nil
	for _, c := range r.columns {
		copied := *c
		t.columns = append(t.columns, &copied)
	}
	for _, k := range r.constraints {
		copied := *k
		copied.refers = twins[k.refers]
		copied.columns = slices.Clone(k.columns)
		t.constraints = append(t.constraints, &copied)
	}
	for _, child := range r.children {
		t.children = append(t.children, twins[child])
	}
	for _, used := range r.uses {
		t.uses = append(t.uses, twins[used])
	}
	return t
}

// ReadCatalogue reads what a database holds. It changes nothing and waits for nobody but whoever is dropping or rewriting a table. It
// looks at all schemas but PostgreSQL's own.
func ReadCatalogue(ctx context.Context, db *sql.DB) (*Catalogue, error) {
	c := &Catalogue{schema: newSchema(), applied: map[int64]bool{}}
	var err error
	if c.checksums, err = migrate.AppliedChecksums(ctx, db); err != nil {
		return nil, err
	}
	for version := range c.checksums {
		c.applied[version] = true
		c.current = max(c.current, version)
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("beginning to read the catalogue: %w", err)
	}
	defer tx.Rollback()
	r := reader{ctx: ctx, tx: tx, schema: c.schema, byID: map[string]*relation{}}
	for _, step := range []struct {
		what string
		read func() error
	}{
		{"settings", r.settings},
		{"schemas", r.spaces},
		{"types", r.types},
		{"routines", r.routines},
		{"tables", r.relations},
		{"columns", r.columns},
		{"indexes", r.indexes},
		{"constraints", r.constraints},
		{"partitions", r.parents},
		{"triggers", r.triggers},
		{"views", r.views},
		{"statistics", r.statistics},
	} {
		if err := step.read(); err != nil {
			return nil, fmt.Errorf("reading the %s of the catalogue: %w", step.what, err)
		}
	}
	return c, nil
}

// reader is one call of ReadCatalogue.
type reader struct {
	ctx    context.Context //nolint:containedctx // lives as long as the call
	tx     *sql.Tx
	schema *schema
	byID   map[string]*relation
}

// ours leaves out PostgreSQL's own schemas, of a pg_namespace called n.
const ours = ` n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' `

// rows calls see with the columns of each row as texts; NULL is empty.
func (r *reader) rows(see func(v []string), query string) (err error) {
	rows, err := r.tx.QueryContext(r.ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]sql.NullString, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		texts := make([]string, len(columns))
		for i, v := range values {
			texts[i] = v.String
		}
		see(texts)
	}
	return rows.Err()
}

func (r *reader) settings() error {
	return r.rows(func(v []string) {
		r.schema.utc = slices.Contains([]string{"utc", "etc/utc", "uct", "gmt", "etc/gmt", "zulu", "universal", "etc/universal"}, strings.ToLower(v[0]))
		if v[1] != "" {
			r.schema.path, r.schema.home = v[1], v[1]
		}
	}, `SELECT current_setting('TimeZone'), current_schema()`)
}

func (r *reader) spaces() error {
	return r.rows(func(v []string) { r.schema.spaces[v[0]] = 0 }, `SELECT nspname FROM pg_catalog.pg_namespace n WHERE`+ours)
}
