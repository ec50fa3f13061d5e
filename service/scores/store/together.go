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

const (
	// The arrays are asked for in a statement of their own, behind which the planner does not see how long they are. It would plan each
	// time anew otherwise, for that many rows, which takes longer than the reading.
	findScores = `select ` + columns + ` from scores where id = any((select $1::uuid[])::uuid[])`

	// several are the values of several scores, a column each. Tags and metadata are in them as texts: arrays of different lengths make
	// no array.
	several = `unnest((select $1::uuid[]), $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::smallint[],
	$9::text[], $10::text[], $11::text[], $12::text[], $13::integer[], $14::text[], $15::text[], $16::text[], $17::text[],
	$18::text[]) as given (id, key, title, composer, opus, instrument, difficulty, difficulty_level, style_period,
	key_signature, time_signature, tempo_marking, duration_seconds, description, tags, metadata, status, visibility)`

	insertScores = `insert into scores (id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level,
	style_period, key_signature, time_signature, tempo_marking, duration_seconds, description, tags, metadata, status,
	visibility)
	select id, key, title, composer, opus, instrument, difficulty, difficulty_level, style_period, key_signature,
		time_signature, tempo_marking, duration_seconds, description, tags::text[], metadata::jsonb, status, visibility
	from ` + several + `
	on conflict (id) do nothing
	returning ` + columns

	// Whatever somebody else has locked, score or card, is left out: who changes that waits alone. So nobody waits for what
	// another one changes, and there is no order of locks in which two could stop each other.
	replaceScores = `with free as (
	select scores.id from scores join score_cards on score_id = scores.id where scores.id = any((select $1::uuid[])::uuid[])
	order by scores.id for no key update skip locked)
	update scores set title = given.title, composer = given.composer, opus = given.opus, instrument = given.instrument,
		difficulty = given.difficulty, difficulty_level = given.difficulty_level, style_period = given.style_period,
		key_signature = given.key_signature, time_signature = given.time_signature, tempo_marking = given.tempo_marking,
		duration_seconds = given.duration_seconds, description = given.description, tags = given.tags::text[],
		metadata = given.metadata::jsonb, status = given.status, visibility = given.visibility,
		version = scores.version + 1, updated_at = now()
	from free join ` + several + ` on given.id = free.id
	where scores.id = free.id and scores.version = given.key::bigint
	returning `
)

// meet makes the groups in which calls meet.
func (s *Store) meet() {
	s.findMany = s.db.Prepared("scores.find_together", findScores)
	s.insertMany = s.db.Prepared("scores.insert_together", insertScores, postgres.Repeatable)
	s.replaceMany = s.db.Prepared("scores.replace_together", replaceScores+qualified(columns))
	s.sizes = newSizes()
	width := max(1, s.db.Pool().Stats().MaxOpenConnections/share)
	s.finds = together.New(together.Config[string, scores.Score]{
		Width: width, Most: most, Patience: patience, Alone: s.findOne, Jointly: s.findTogether,
		Shared: shared("scores.find"), Sent: s.sent("scores.find"),
	})
	// Who writes stays to the end, so that the caches are told after the change and not before.
	writes := func(
		name string, alone func(context.Context, scores.Score) (scores.Score, error),
		jointly func(context.Context, []scores.Score) ([]together.Answer[scores.Score], error),
	) *together.Group[scores.Score, scores.Score] {
		return together.New(together.Config[scores.Score, scores.Score]{
			Width: width, Most: most, Patience: patience, Alone: alone, Jointly: jointly,
			Key: func(score scores.Score) string { return score.ID }, Stay: true, Shared: shared(name), Sent: s.sent(name),
		})
	}
	s.inserts = writes("scores.insert", s.insertOne, s.insertTogether)
	s.replaces = writes("scores.replace", s.replaceOne, s.replaceTogether)
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
	return s.write(ctx, s.insertMany, all, func(score scores.Score) string { return score.OwnerID })
}

// replaceTogether writes the fields of several scores.
func (s *Store) replaceTogether(ctx context.Context, all []scores.Score) ([]together.Answer[scores.Score], error) {
	return s.write(ctx, s.replaceMany, all, func(score scores.Score) string { return strconv.FormatInt(score.Version, 10) })
}

// write makes one statement of several writes. One of which it returns nothing, as one that the database refuses, has not been made, and
// is made alone, so that its caller hears what a statement of its own tells.
func (s *Store) write(
	ctx context.Context, statement *postgres.Statement, all []scores.Score, key func(scores.Score) string,
) ([]together.Answer[scores.Score], error) {
	args, err := columnsOf(all, key)
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
	for i, score := range all {
		row, ok := written[score.ID]
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
func columnsOf(all []scores.Score, key func(scores.Score) string) ([]any, error) {
	columns := make([]array, 2+len(fieldColumns))
	for _, score := range all {
		k := key(score)
		columns[0].add(&score.ID)
		columns[1].add(&k)
		fields, err := texts(score.Fields)
		if err != nil {
			return nil, err
		}
		for i, text := range fields {
			columns[2+i].add(text)
		}
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i].literal()
	}
	return args, nil
}

// texts are the fields in the order of fieldColumns as the database reads them; nil is null.
func texts(f scores.Fields) ([len(fieldColumns)]*string, error) {
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
