package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/together"
	"github.com/mirubato/mirubato/service/scores"
)

// Reads, additions and changes of single scores that come while others are under way go together, as one statement for all of
// them. Each gets what a statement of its own would have told it; one for which that is not certain is made alone.
const (
	// share is how much of the pool the statements of a kind take before others wait for one of them to end: an eighth. The fewer there
	// are the more go together, and the rest of the pool is there for everything else.
	share = 8
	// most is how many go together at most.
	most = 64
	// patience is how long one waits for others at most: several times what a statement takes that nothing keeps, and less than
	// anybody notices.
	patience = 10 * time.Millisecond
)

// The arrays are asked for in a statement of their own, behind which the planner does not see how long they are. It would plan each
// time anew otherwise, for that many rows, which takes longer than the reading.
const findScores = `select ` + columns + ` from scores where id = any((select $1::uuid[])::uuid[])`

// several are the columns of several scores, an array each: those that are named first, as name and type, and all fields. Tags and metadata are in
// them as texts: arrays of different lengths make no array.
func several(first ...string) string {
	var arrays, names []string
	for _, column := range append(first, fieldColumns[:]...) {
		name, kind, _ := strings.Cut(column, " ")
		switch {
		case kind != "":
		case name == "difficulty_level":
			kind = "smallint"
		case name == "duration_seconds":
			kind = "integer"
		default:
			kind = "text"
		}
		names, arrays = append(names, name), append(arrays, fmt.Sprintf("$%d::%s[]", len(names)+1, kind))
	}
	arrays[0] = "(select " + arrays[0] + ")"
	return "unnest(" + strings.Join(arrays, ", ") + ") as given (" + strings.Join(names, ", ") + ")"
}

// ofSeveral is a field of several, in the type of its column.
func ofSeveral(column string) string {
	switch column {
	case "tags":
		return "given.tags::text[]"
	case "metadata":
		return "given.metadata::jsonb"
	}
	return "given." + column
}

var insertScores = func() string {
	var fields []string
	for _, column := range fieldColumns {
		fields = append(fields, ofSeveral(column))
	}
	return `insert into scores (id, owner_id, ` + strings.Join(fieldColumns[:], ", ") + `)
	select id, owner_id, ` + strings.Join(fields, ", ") + ` from ` + several("id uuid", "owner_id text") + `
	on conflict (id) do nothing
	returning ` + columns
}()

// Whatever somebody else has locked, score or card, is left out: who changes that waits alone. So nobody waits for what
// another one changes, and there is no order of locks in which two could stop each other. Nobody locks what is not theirs.
var replaceScores = func() string {
	const isMeant = `scores.id = given.id and (given.owner_id = '' or scores.owner_id = given.owner_id)
		and (given.version = 0 or scores.version = given.version)`
	return `with given as materialized (
		select * from ` + several("id uuid", "owner_id text", "version bigint", "mask integer") + `),
	free as materialized (
		select scores.id from given join scores on ` + isMeant + ` join score_cards on score_id = scores.id
		order by scores.id for no key update of scores, score_cards skip locked)
	update scores set ` + replacing("given.mask", func(i int) string { return ofSeveral(fieldColumns[i]) }) + `
	from given where ` + isMeant + ` and given.id = any(array(select id from free))
	returning ` + qualified(columns)
}()

// meet makes the groups in which calls meet.
func (s *Store) meet() {
	s.findMany = s.db.Prepared("scores.find_together", findScores)
	s.insertMany = s.db.Prepared("scores.insert_together", insertScores, postgres.Repeatable)
	s.replaceMany = s.db.Prepared("scores.replace_together", replaceScores)
	s.sizes = newSizes()
	width := max(1, s.db.Pool().Stats().MaxOpenConnections/share)
	s.finds = together.New(together.Config[string, scores.Score]{
		Width: width, Most: most, Patience: patience, Alone: s.findOne, Jointly: s.findTogether,
		Shared: shared("scores.find"), Sent: s.sent("scores.find"),
	})
	// Who writes stays to the end, so that the caches are told after the change and not before.
	s.inserts = together.New(together.Config[scores.Score, scores.Score]{
		Width: width, Most: most, Patience: patience, Alone: s.insertOne, Jointly: s.insertTogether,
		Key: func(score scores.Score) string { return score.ID }, Stay: true, Shared: shared("scores.insert"), Sent: s.sent("scores.insert"),
	})
	s.replaces = together.New(together.Config[scores.Replacement, scores.Score]{
		Width: width, Most: most, Patience: patience, Alone: s.replaceOne, Jointly: s.replaceTogether,
		Key: func(r scores.Replacement) string { return r.ID }, Stay: true, Shared: shared("scores.replace"), Sent: s.sent("scores.replace"),
	})
}

// newSizes counts how many calls statements answer.
func newSizes() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "database_calls_together", Help: "Calls that one statement answers, by the statement that would answer one.",
		Buckets: []float64{1, 2, 4, 8, 16, 32, most},
	}, []string{"query"})
}

func (s *Store) sent(name string) func(int) {
	size := s.sizes.WithLabelValues(name)
	return func(calls int) { size.Observe(float64(calls)) }
}

// Describe implements prometheus.Collector.
func (s *Store) Describe(to chan<- *prometheus.Desc) { s.sizes.Describe(to) }

// Collect implements prometheus.Collector.
func (s *Store) Collect(to chan<- prometheus.Metric) { s.sizes.Collect(to) }

func shared(name string) func(context.Context, time.Time, error) {
	return func(ctx context.Context, since time.Time, err error) { postgres.Share(ctx, name, since, err) }
}

// qualified are columns of scores beside another table that has some of the same names.
func qualified(columns string) string {
	names := strings.Split(columns, ",")
	for i, name := range names {
		names[i] = "scores." + strings.TrimSpace(name)
	}
	return strings.Join(names, ", ")
}

// mayMeet says whether a call may go with others: not if it is part of a transaction, and not if the ID has another form than that in
// which the database returns it.
func (s *Store) mayMeet(ctx context.Context, id string) bool {
	return isCanonical(id) && !s.db.InTransaction(ctx)
}

// isCanonical reports whether a text is a UUID in lower case with its hyphens.
func isCanonical(id string) bool {
	const length = 36
	if len(id) != length {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// met makes a call in its group.
func met[Q any](ctx context.Context, group *together.Group[Q, scores.Score], asked Q) (scores.Score, error) {
	score, err := group.Do(ctx, asked)
	if err != nil && err == ctx.Err() { //nolint:errorlint // of one that has left; statements wrap theirs
		return score, fault.Of(fmt.Errorf("waiting for a statement: %w", err))
	}
	return score, err
}

// findTogether reads several scores. An ID may be asked for more than once.
func (s *Store) findTogether(ctx context.Context, ids []string) ([]together.Answer[scores.Score], error) {
	found, err := s.query(ctx, s.findMany, len(ids), pq.Array(ids))
	if err != nil {
		switch fault.CodeOf(err) {
		case fault.Unavailable, fault.Timeout:
			return nil, err
		}
		return nil, together.ErrAlone // what one of them has brought about is not for the others
	}
	answers := make([]together.Answer[scores.Score], len(ids))
	for i, id := range ids {
		row, ok := found[id]
		if !ok {
			answers[i].Err = scores.ErrAbsent
			continue
		}
		answers[i].Value = row.taken()
	}
	return answers, nil
}

// insertTogether adds several scores.
func (s *Store) insertTogether(ctx context.Context, all []scores.Score) ([]together.Answer[scores.Score], error) {
	rows := make([]line, len(all))
	for i := range all {
		rows[i] = line{first: []string{all[i].ID, all[i].OwnerID}, fields: &all[i].Fields}
	}
	return s.write(ctx, s.insertMany, rows)
}

// replaceTogether writes fields of several scores.
func (s *Store) replaceTogether(ctx context.Context, all []scores.Replacement) ([]together.Answer[scores.Score], error) {
	rows := make([]line, len(all))
	for i := range all {
		r := &all[i]
		first := []string{r.ID, r.OwnerID, strconv.FormatInt(r.Version, 10), strconv.Itoa(mask(r.Given))}
		rows[i] = line{first: first, fields: &r.Fields}
	}
	return s.write(ctx, s.replaceMany, rows)
}

// line is what is written of one score of several: the columns that are named first, of which the ID is the first one, and the fields.
type line struct {
	first  []string
	fields *scores.Fields
}

// write makes one statement of several writes. One of which it returns nothing, as one that the database refuses, has not been made, and
// is made alone, so that its caller hears what a statement of its own tells.
func (s *Store) write(ctx context.Context, statement *postgres.Statement, all []line) ([]together.Answer[scores.Score], error) {
	args, err := columnsOf(all)
	if err != nil {
		return nil, together.ErrAlone // whose value it is hears of it alone
	}
	written, err := s.query(ctx, statement, len(all), args...)
	switch {
	case postgres.IsUndone(err):
		return nil, together.ErrAlone
	case err != nil:
		return nil, err
	}
	answers := make([]together.Answer[scores.Score], len(all))
	for i, l := range all {
		row, ok := written[l.first[0]]
		if !ok {
			answers[i].Err = together.ErrAlone
			continue
		}
		answers[i].Value = row.taken()
	}
	return answers, nil
}

// row is a score that was read for several callers, of whom one has taken it.
type row struct {
	scanned
	isTaken bool
}

// taken returns the score for one caller. Nobody gets what another one may change.
func (r *row) taken() scores.Score {
	if !r.isTaken {
		r.isTaken = true
		return r.score()
	}
	return clone(r.s)
}

// query returns the rows of a statement by their IDs.
func (s *Store) query(
	ctx context.Context, statement *postgres.Statement, most int, args ...any,
) (map[string]*row, error) {
	found := make(map[string]*row, most)
	err := statement.Query(ctx, func(rows *sql.Rows) error {
		r := &row{}
		if err := rows.Scan(r.dest()...); err != nil {
			return err
		}
		found[r.s.ID] = r
		return nil
	}, args...)
	return found, err
}

// clone returns a score that has nothing in common with the other. Texts behind pointers are never written to.
func clone(s scores.Score) scores.Score {
	s.Tags, s.Metadata, s.Analysis = slices.Clone(s.Tags), slices.Clone(s.Metadata), slices.Clone(s.Analysis)
	return s
}

// columnsOf returns the arguments of several: an array for each column, with an element for each score.
func columnsOf(all []line) ([]any, error) {
	columns := make([]array, len(all[0].first)+len(fieldColumns))
	for _, l := range all {
		fields, err := texts(l.fields)
		if err != nil {
			return nil, err
		}
		for i := range l.first {
			columns[i].add(&l.first[i])
		}
		for i, text := range fields {
			columns[len(l.first)+i].add(text)
		}
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i].literal()
	}
	return args, nil
}

// texts are the fields in the order of fieldColumns as the database reads them; nil is null.
func texts(f *scores.Fields) ([len(fieldColumns)]*string, error) {
	var tags *string
	if f.Tags != nil {
		literal, err := pq.StringArray(f.Tags).Value()
		if err != nil {
			return [len(fieldColumns)]*string{}, err
		}
		text, _ := literal.(string) // it is one if the tags are not nil
		tags = &text
	}
	metadata, status, visibility := string(f.Metadata), string(f.Status), string(f.Visibility)
	return [...]*string{
		&f.Title, f.Composer, f.Opus, text(f.Instrument), text(f.Difficulty), digits(f.DifficultyLevel), f.StylePeriod,
		f.KeySignature, f.TimeSignature, f.TempoMarking, digits(f.DurationSeconds), f.Description, tags, &metadata, &status,
		&visibility,
	}, nil
}

func text[T ~string](value *T) *string {
	if value == nil {
		return nil
	}
	return new(string(*value))
}

func digits(value *int) *string {
	if value == nil {
		return nil
	}
	return new(strconv.Itoa(*value))
}

// array is an array as the database reads it. The zero value is an empty one.
type array struct{ text []byte }

// add appends an element; nil is null.
func (a *array) add(element *string) {
	if len(a.text) > 0 {
		a.text = append(a.text, ',')
	}
	if element == nil {
		a.text = append(a.text, "null"...)
		return
	}
	a.text = append(a.text, '"')
	for _, c := range []byte(*element) {
		if c == '"' || c == '\\' {
			a.text = append(a.text, '\\')
		}
		a.text = append(a.text, c)
	}
	a.text = append(a.text, '"')
}

func (a *array) literal() string { return "{" + string(a.text) + "}" }
