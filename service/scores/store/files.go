package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores/file"
)

// versionColumns are the columns of a version in the order of scanVersion.
const versionColumns = `id, score_id, owner_id, number, format, file_name, size, sha256, coalesce(task_id::text, ''), state,
	coalesce(reason, ''), analysis, created_at, analysed_at`

const (
	findUsage = `select files, bytes from file_usage where owner_id = $1`

	// The update that changes nothing locks the row, or makes one to lock.
	lockUsage = `insert into file_usage (owner_id) values ($1)
	on conflict (owner_id) do update set owner_id = excluded.owner_id
	returning files, bytes`

	// The update that changes nothing makes a conflict return the row.
	insertVersion = `insert into score_versions (id, score_id, owner_id, number, format, file_name, size, sha256)
	select $1::uuid, s.id, s.owner_id,
		coalesce((select max(v.number) from score_versions v where v.score_id = s.id), 0) + 1, $3::text, $4::text, $5::bigint, $6::bytea
	from scores s where s.id = $2
	on conflict (score_id, sha256) do update set score_id = excluded.score_id
	returning ` + versionColumns

	assignTask = `update score_versions set task_id = $2 where id = $1`

	listVersions = `select ` + versionColumns + ` from score_versions where score_id = $1 order by number desc`

	findVersion = `select ` + versionColumns + ` from score_versions where id = $1`

	removeVersion = `delete from score_versions where id = $1`

	// The score tells what the newest of its other files tells.
	reconsiderScore = `update scores set version = version + 1, updated_at = now(), analysis = (
		select v.analysis from score_versions v where v.score_id = $1 and v.state = 'completed' order by v.number desc limit 1)
	where id = $1 and analysis->>'versionId' = $2::text`

	tellVersion = `update score_versions set state = $2, reason = nullif($3, '') where id = $1 and state <> 'completed'`

	completeVersion = `update score_versions set state = 'completed', reason = null, analysis = $2, incipit = nullif($3, ''),
		analysed_at = now()
	where id = $1`

	describeScore = `update scores s set analysis = $3, composer = coalesce(composer, $4), opus = coalesce(opus, $5),
		key_signature = coalesce(key_signature, $6), time_signature = coalesce(time_signature, $7),
		tempo_marking = coalesce(tempo_marking, $8), instrument = coalesce(instrument, $9),
		difficulty = coalesce(difficulty, $10), difficulty_level = coalesce(difficulty_level, $11),
		duration_seconds = coalesce(duration_seconds, $12), version = version + 1, updated_at = now()
	where id = $1 and not exists (
		select from score_versions v where v.score_id = $1 and v.state = 'completed' and v.number > $2)`

	findIncipit = `select incipit, sha256 from score_versions where score_id = $1 and incipit is not null
	order by number desc limit 1`
)

// Files implements file.Repository. It may be used by many goroutines.
type Files struct {
	db                                           *postgres.DB
	usage, lock, insert, assign, list, find      *postgres.Statement
	remove, reconsider, tell, complete, describe *postgres.Statement
	incipit                                      *postgres.Statement
}

var _ file.Repository = (*Files)(nil)

// NewFiles returns a store of versions. It does not touch the database before it is used.
func NewFiles(db *postgres.DB) *Files {
	return &Files{
		db:         db,
		usage:      db.Prepared("versions.usage", findUsage),
		lock:       db.Prepared("versions.lock_usage", lockUsage, postgres.Repeatable),
		insert:     db.Prepared("versions.insert", insertVersion),
		assign:     db.Prepared("versions.assign", assignTask, postgres.Repeatable),
		list:       db.Prepared("versions.list", listVersions),
		find:       db.Prepared("versions.find", findVersion),
		remove:     db.Prepared("versions.remove", removeVersion),
		reconsider: db.Prepared("versions.reconsider", reconsiderScore),
		tell:       db.Prepared("versions.tell", tellVersion, postgres.Repeatable),
		complete:   db.Prepared("versions.complete", completeVersion, postgres.Repeatable),
		describe:   db.Prepared("versions.describe", describeScore),
		incipit:    db.Prepared("versions.incipit", findIncipit),
	}
}

// Atomically implements file.Repository.
func (s *Files) Atomically(ctx context.Context, do func(context.Context) error) error {
	return s.db.Atomically(ctx, do)
}

// Usage implements file.Repository.
func (s *Files) Usage(ctx context.Context, owner string) (file.Usage, error) {
	return usageBy(ctx, s.usage, owner)
}

// LockUsage implements file.Repository.
func (s *Files) LockUsage(ctx context.Context, owner string) (file.Usage, error) {
	return usageBy(ctx, s.lock, owner)
}

func usageBy(ctx context.Context, by *postgres.Statement, owner string) (file.Usage, error) {
	var u file.Usage
	err := by.QueryRow(ctx, []any{&u.Files, &u.Bytes}, owner)
	if errors.Is(err, postgres.ErrNoRows) {
		return u, nil
	}
	return u, err
}

// Insert implements file.Repository.
func (s *Files) Insert(ctx context.Context, v file.Version) (file.Version, bool, error) {
	found, err := one(ctx, s.insert, v.ID, v.ScoreID, string(v.Format), v.FileName, v.Size, v.Sum[:])
	return found, err == nil && found.ID == v.ID, err
}

// Assign implements file.Repository.
func (s *Files) Assign(ctx context.Context, id, taskID string) error {
	_, err := s.assign.Exec(ctx, id, taskID)
	return err
}

// List implements file.Repository.
func (s *Files) List(ctx context.Context, scoreID string) ([]file.Version, error) {
	return versions(ctx, s.list, scoreID)
}

// Find implements file.Repository.
func (s *Files) Find(ctx context.Context, id string) (file.Version, error) {
	return one(ctx, s.find, id)
}

// one returns the version that the statement finds, or ErrAbsent.
func one(ctx context.Context, by *postgres.Statement, args ...any) (file.Version, error) {
	found, err := versions(ctx, by, args...)
	if err == nil && len(found) == 0 {
		err = file.ErrAbsent
	}
	if err != nil {
		return file.Version{}, err
	}
	return found[0], nil
}

func versions(ctx context.Context, by *postgres.Statement, args ...any) ([]file.Version, error) {
	var found []file.Version
	err := by.Query(ctx, func(rows *sql.Rows) error {
		v, err := scanVersion(rows)
		found = append(found, v)
		return err
	}, args...)
	return found, err
}

func scanVersion(rows *sql.Rows) (file.Version, error) {
	var v file.Version
	var sum, analysis []byte
	err := rows.Scan(&v.ID, &v.ScoreID, &v.OwnerID, &v.Number, &v.Format, &v.FileName, &v.Size, &sum, &v.TaskID, &v.State,
		&v.Reason, &analysis, &v.CreatedAt, &v.AnalysedAt)
	if err != nil {
		return v, err
	}
	v.Sum, v.Analysis = blob.Sum(sum), analysis
	v.SHA256, v.MediaType, v.CreatedAt = v.Sum.String(), v.Format.MediaType(), v.CreatedAt.UTC()
	if v.AnalysedAt != nil {
		utc := v.AnalysedAt.UTC()
		v.AnalysedAt = &utc
	}
	return v, nil
}

// Remove implements file.Repository.
func (s *Files) Remove(ctx context.Context, v file.Version) error {
	return s.db.Atomically(ctx, func(ctx context.Context) error {
		removed, err := s.remove.Exec(ctx, v.ID)
		if err == nil && removed == 0 {
			return file.ErrAbsent
		}
		if err != nil {
			return err
		}
		_, err = s.reconsider.Exec(ctx, v.ScoreID, v.ID)
		return err
	})
}

// Tell implements file.Repository.
func (s *Files) Tell(ctx context.Context, id string, state jobs.State, reason string) error {
	_, err := s.tell.Exec(ctx, id, string(state), reason)
	return err
}

// Complete implements file.Repository.
func (s *Files) Complete(ctx context.Context, v file.Version, r file.Reading) error {
	analysis, err := r.Encode()
	if err != nil {
		return err
	}
	return s.db.Atomically(ctx, func(ctx context.Context) error {
		completed, err := s.complete.Exec(ctx, v.ID, string(analysis), string(r.Incipit))
		if err == nil && completed == 0 {
			return file.ErrAbsent
		}
		if err != nil {
			return err
		}
		f := r.Fields
		_, err = s.describe.Exec(ctx, v.ScoreID, v.Number, string(analysis), f.Composer, f.Opus, f.KeySignature, f.TimeSignature,
			f.TempoMarking, f.Instrument, f.Difficulty, f.DifficultyLevel, f.DurationSeconds)
		return err
	})
}

// Incipit implements file.Repository.
func (s *Files) Incipit(ctx context.Context, scoreID string) ([]byte, blob.Sum, error) {
	var svg, sum []byte
	err := s.incipit.QueryRow(ctx, []any{&svg, &sum}, scoreID)
	if errors.Is(err, postgres.ErrNoRows) {
		return nil, blob.Sum{}, file.ErrAbsent
	}
	if err != nil {
		return nil, blob.Sum{}, err
	}
	return svg, blob.Sum(sum), nil
}
