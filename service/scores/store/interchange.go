package store

import (
	"context"
	"database/sql"
	"iter"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/interchange"
)

// exportPage is how many scores are read at once. With their longest texts they take some megabytes.
const exportPage = 100

const (
	countOwned = `select count(*) from scores where owner_id = $1`

	exportOwned = `select ` + columns + ` from scores
	where owner_id = $1 and (created_at, id) > ($2::timestamptz, $3::uuid) order by created_at, id limit $4`

	// The rows are locked in the order of their IDs, in which they are written as well, so that two writers wait for each other instead
	// of deadlocking.
	findOwned = `select ` + columns + ` from scores where id = any($1::uuid[]) and owner_id = $2 order by id for update`

	// A table of the connection's own, which is empty when a transaction begins. Its rows take no part in backups or replication.
	stageTable = `create temporary table if not exists imported_scores (like scores including defaults) on commit delete rows`

	// Who owns the rows that were not written. They are locked by then, so that none comes or goes.
	ownersOf = `select id, owner_id from scores where id = any($1::uuid[])`
)

// upsertStaged writes the staged scores. Rows of others, and those that would not change, are left alone, without a trace in the caches. The
// version tells what is new, since a row begins with 1 and each change counts it up.
var upsertStaged = func() string {
	fields := strings.Join(fieldColumns[:], ", ")
	excluded := "excluded." + strings.Join(fieldColumns[:], ", excluded.")
	present := "scores." + strings.Join(fieldColumns[:], ", scores.")
	return `insert into scores (id, owner_id, ` + fields + `)
	select id, owner_id, ` + fields + ` from imported_scores order by id
	on conflict (id) do update set (` + fields + `) = (` + excluded + `), version = scores.version + 1, updated_at = now()
	where scores.owner_id = excluded.owner_id and (` + present + `) is distinct from (` + excluded + `)
	returning id, version = 1`
}()

// Interchange implements interchange.Repository. It may be used by many goroutines.
type Interchange struct {
	db                                           *postgres.DB
	count, page, findOwned, stage, upsert, whose *postgres.Statement
}

var _ interchange.Repository = (*Interchange)(nil)

// NewInterchange returns a store for exports and imports. It does not touch the database before it is used.
func NewInterchange(db *postgres.DB) *Interchange {
	return &Interchange{
		db:        db,
		count:     db.Direct("interchange.count", countOwned),
		page:      db.Direct("interchange.page", exportOwned),
		findOwned: db.Direct("interchange.find", findOwned),
		stage:     db.Direct("interchange.stage", stageTable),
		upsert:    db.Direct("interchange.upsert", upsertStaged),
		whose:     db.Direct("interchange.whose", ownersOf),
	}
}

// Export implements interchange.Repository.
func (i *Interchange) Export(
	ctx context.Context, owner string, begin func(int64) error, page func([]scores.Score) error,
) error {
	return i.db.Snapshot(ctx, func(ctx context.Context) error {
		var total int64
		if err := i.count.QueryRow(ctx, []any{&total}, owner); err != nil {
			return err
		}
		if err := begin(total); err != nil {
			return err
		}
		at, id := "-infinity", "00000000-0000-0000-0000-000000000000"
		for {
			found, err := readScores(ctx, i.page, owner, at, id, exportPage)
			if err != nil {
				return err
			}
			if err := page(found); err != nil {
				return err
			}
			if len(found) < exportPage {
				return nil
			}
			last := found[len(found)-1]
			at, id = last.CreatedAt.Format(time.RFC3339Nano), last.ID
		}
	})
}

// Import implements interchange.Repository.
func (i *Interchange) Import(
	ctx context.Context, owner string, ids []string, decide func(map[string]scores.Fields) []scores.Score,
) (map[string]interchange.Outcome, error) {
	var outcomes map[string]interchange.Outcome
	err := i.db.Atomically(ctx, func(ctx context.Context) error {
		found, err := readScores(ctx, i.findOwned, pq.Array(ids), owner)
		if err != nil {
			return err
		}
		present := make(map[string]scores.Fields, len(found))
		for _, s := range found {
			present[s.ID] = s.Fields
		}
		outcomes, err = i.write(ctx, decide(present))
		return err
	})
	return outcomes, err
}

func (i *Interchange) write(ctx context.Context, all []scores.Score) (map[string]interchange.Outcome, error) {
	outcomes := make(map[string]interchange.Outcome, len(all))
	if len(all) == 0 {
		return outcomes, nil
	}
	if _, err := i.stage.Exec(ctx); err != nil {
		return nil, err
	}
	staged := append([]string{"id", "owner_id"}, fieldColumns[:]...)
	if _, err := i.db.Copy(ctx, "interchange.copy", "imported_scores", staged, rowsOf(all)); err != nil {
		return nil, err
	}
	err := i.upsert.Query(ctx, func(rows *sql.Rows) error {
		var id string
		var isNew bool
		err := rows.Scan(&id, &isNew)
		if outcomes[id] = interchange.Updated; isNew {
			outcomes[id] = interchange.Created
		}
		return err
	})
	if err != nil || len(outcomes) == len(all) {
		return outcomes, err
	}
	return outcomes, i.explain(ctx, all, outcomes)
}

// explain adds the outcomes of scores that were not written.
func (i *Interchange) explain(ctx context.Context, all []scores.Score, outcomes map[string]interchange.Outcome) error {
	var rest []string
	for _, s := range all {
		if _, ok := outcomes[s.ID]; !ok {
			rest = append(rest, s.ID)
		}
	}
	return i.whose.Query(ctx, func(rows *sql.Rows) error {
		var id, owner string
		err := rows.Scan(&id, &owner)
		if outcomes[id] = interchange.Refused; owner == all[0].OwnerID {
			outcomes[id] = interchange.Unchanged
		}
		return err
	}, pq.Array(rest))
}

func rowsOf(all []scores.Score) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, s := range all {
			if !yield(append([]any{s.ID, s.OwnerID}, values(s.Fields)...)) {
				return
			}
		}
	}
}

func readScores(ctx context.Context, st *postgres.Statement, args ...any) ([]scores.Score, error) {
	var found []scores.Score
	err := st.Query(ctx, func(rows *sql.Rows) error {
		var row scanned
		err := rows.Scan(row.dest()...)
		found = append(found, row.score())
		return err
	}, args...)
	return found, err
}
