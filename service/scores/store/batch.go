package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/scores"
)

// theOwners are the scores of an owner among the IDs. They are locked in the order of their IDs, so that two batches wait
// for each other instead of deadlocking.
const theOwners = `with owned as (
	select id from scores where id = any($1::uuid[]) and owner_id = $2 order by id for update)
	`

const removeScores = theOwners + `delete from scores using owned where scores.id = owned.id`

// fieldColumns are the columns of the fields.
var fieldColumns = [...]string{
	"title", "composer", "opus", "instrument", "difficulty", "difficulty_level", "style_period", "key_signature",
	"time_signature", "tempo_marking", "duration_seconds", "description", "tags", "metadata", "status", "visibility",
}

// given says of each of fieldColumns whether the change sets it.
func given(c scores.Change) [len(fieldColumns)]bool {
	return [...]bool{
		c.Title.Set, c.Composer.Set, c.Opus.Set, c.Instrument.Set, c.Difficulty.Set, c.DifficultyLevel.Set,
		c.StylePeriod.Set, c.KeySignature.Set, c.TimeSignature.Set, c.TempoMarking.Set, c.DurationSeconds.Set,
		c.Description.Set, c.Tags.Set, c.Metadata.Set, c.Status.Set, c.Visibility.Set,
	}
}

// mask has a bit for each of fieldColumns that the change sets, the lowest one for the first.
func mask(c scores.Change) (bits int) {
	for i, isGiven := range given(c) {
		if isGiven {
			bits |= 1 << i
		}
	}
	return bits
}

// replacing are the assignments that write the value of each column that is in the mask, and count up the version.
func replacing(mask string, value func(column int) string) string {
	var text strings.Builder
	for i, column := range fieldColumns {
		fmt.Fprintf(&text, "%s = case when %s & %d = 0 then scores.%[1]s else %[4]s end, ", column, mask, 1<<i, value(i))
	}
	return text.String() + "version = scores.version + 1, updated_at = now()"
}

// ReplaceMany implements scores.Repository.
func (s *Store) ReplaceMany(
	ctx context.Context, owner string, ids []string, c scores.Change, f scores.Fields,
) (int64, error) {
	var set strings.Builder
	args := []any{pq.Array(ids), owner}
	all := values(f)
	for i, isGiven := range given(c) {
		if isGiven {
			args = append(args, all[i])
			set.WriteString(fieldColumns[i] + " = $" + strconv.Itoa(len(args)) + ", ")
		}
	}
	text := theOwners + "update scores set " + set.String() +
		"version = version + 1, updated_at = now() from owned where scores.id = owned.id"
	return s.shape("scores.replace_many", text).Exec(ctx, args...)
}

// RemoveMany implements scores.Repository.
func (s *Store) RemoveMany(ctx context.Context, owner string, ids []string) (int64, error) {
	return s.removeMany.Exec(ctx, pq.Array(ids), owner)
}
