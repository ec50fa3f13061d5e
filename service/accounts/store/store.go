// Package store keeps users and refresh tokens in PostgreSQL. It owns the SQL on the tables users and refresh_tokens,
// which the migrations of the service bring.
package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/accounts"
	"github.com/mirubato/mirubato/service/chassis/postgres"
)

const (
	userColumns = `id, email, role, disabled_at is not null, created_at`

	// The conflict on the ID can only be the same statement sent again, since the ID is random.
	insertUser = `insert into users (id, email, role, password_hash) values ($1, $2, $3, $4)
	on conflict (id) do update set id = excluded.id
	returning ` + userColumns

	findByID    = `select ` + userColumns + ` from users where id = $1`
	findByEmail = `select ` + userColumns + `, password_hash from users where lower(email) = lower($1)`

	findHash = `select password_hash from users where id = $1`
	list     = `select ` + userColumns + ` from users where $1 = '' or lower(email) = lower($1)
	order by created_at desc, id desc limit $2 offset $3`
	count = `select count(*) from users where $1 = '' or lower(email) = lower($1)`

	// It locks the user, so that what ends the sessions, the next statement, waits for and sees each that began or went on
	// before; those that come after see the change.
	update = `update users set role = coalesce($2, role), updated_at = now(),
		disabled_at = case when $3::boolean is null then disabled_at when $3 then coalesce(disabled_at, now()) end,
		password_hash = case when $4 = '' then password_hash else $4 end
	where id = $1 and ($5 = '' or password_hash = $5)
	returning ` + userColumns

	end = `update refresh_tokens set revoked_at = now() where user_id = $1 and revoked_at is null`

	begin = `with owner as materialized (
		select * from users where id = $1 and password_hash = $2 and disabled_at is null for share
	), begun as (
		insert into refresh_tokens (hash, family, user_id, expires_at)
		select $3, $4, id, now() + $5::bigint * interval '1 microsecond' from owner
		on conflict (hash) do nothing
	)
	select ` + userColumns + ` from owner`

	// One statement decides and acts, on the row that it has locked. A token is fresh if it was not used, nor another
	// one that was handed out in its place; or if it was used just now and nothing that was handed out for it has been. The
	// user is locked first, as by whoever ends its sessions.
	rotate = `with owner as materialized (
		select * from users where id = (select user_id from refresh_tokens where hash = $1) for share
	), presented as materialized (
		select t.hash, t.family, t.user_id, t.revoked_at is null and t.expires_at > now() as alive,
			case when t.used_at is null
			then not exists (select from refresh_tokens s
				where s.parent = t.parent and s.hash <> t.hash and s.used_at is not null)
			else t.used_at > now() - $4::bigint * interval '1 microsecond' and not exists (select from refresh_tokens c
				where c.parent = t.hash and c.used_at is not null) end as fresh
		from owner o join refresh_tokens t on t.user_id = o.id where t.hash = $1 for update of t
	), revoked as (
		update refresh_tokens r set revoked_at = now() from presented p
		where r.family = p.family and p.alive and not p.fresh and r.revoked_at is null
	), used as (
		update refresh_tokens r set used_at = coalesce(r.used_at, now()) from presented p
		where r.hash = p.hash and p.alive and p.fresh
	), issued as (
		insert into refresh_tokens (hash, family, user_id, parent, expires_at)
		select $2, p.family, p.user_id, p.hash, now() + $3::bigint * interval '1 microsecond'
		from presented p where p.alive and p.fresh
		on conflict (hash) do nothing
	)
	select ` + userColumns + ` from owner, presented p where p.alive and p.fresh and disabled_at is null`

	revoke = `update refresh_tokens set revoked_at = now()
	where family = (select family from refresh_tokens where hash = $1) and revoked_at is null`

	sweep = `delete from refresh_tokens where hash in (
		select hash from refresh_tokens where expires_at < now() order by expires_at limit 1000)`
)

// Store implements accounts.Repository. It may be used by many goroutines.
type Store struct {
	db                                                    *postgres.DB
	insert, byID, byEmail, hash, list, count, update, end *postgres.Statement
	begin, rotate, revoke, sweep                          *postgres.Statement
}

var _ accounts.Repository = (*Store)(nil)

// New returns a store. It does not touch the database before it is used.
func New(db *postgres.DB) *Store {
	return &Store{
		db:      db,
		insert:  db.Prepared("users.insert", insertUser, postgres.Repeatable),
		byID:    db.Prepared("users.find", findByID),
		byEmail: db.Prepared("users.find_by_email", findByEmail),
		hash:    db.Prepared("users.find_hash", findHash),
		list:    db.Prepared("users.list", list),
		count:   db.Prepared("users.count", count),
		update:  db.Prepared("users.update", update),
		end:     db.Prepared("refresh_tokens.end", end),
		begin:   db.Prepared("refresh_tokens.begin", begin, postgres.Repeatable),
		rotate:  db.Prepared("refresh_tokens.rotate", rotate),
		revoke:  db.Prepared("refresh_tokens.revoke", revoke, postgres.Repeatable),
		sweep:   db.Prepared("refresh_tokens.sweep", sweep, postgres.Repeatable),
	}
}

// Insert implements accounts.Repository.
func (s *Store) Insert(ctx context.Context, u accounts.User, passwordHash string) (accounts.User, error) {
	return find(ctx, s.insert, nil, u.ID, u.Email, string(u.Role), passwordHash)
}

// ByID implements accounts.Repository.
func (s *Store) ByID(ctx context.Context, id string) (accounts.User, error) {
	if uuid.Validate(id) != nil {
		return accounts.User{}, accounts.ErrAbsent
	}
	return find(ctx, s.byID, nil, id)
}

// ByEmail implements accounts.Repository.
func (s *Store) ByEmail(ctx context.Context, email string) (accounts.User, string, error) {
	var hash string
	u, err := find(ctx, s.byEmail, []any{&hash}, email)
	return u, hash, err
}

// List implements accounts.Repository.
func (s *Store) List(ctx context.Context, email string, page, limit int) ([]accounts.User, int64, error) {
	users := []accounts.User{}
	err := s.list.Query(ctx, func(rows *sql.Rows) error {
		var u accounts.User
		err := rows.Scan(&u.ID, &u.Email, &u.Role, &u.Disabled, &u.CreatedAt)
		u.CreatedAt = u.CreatedAt.UTC()
		users = append(users, u)
		return err
	}, email, limit, (page-1)*limit)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	err = s.count.QueryRow(ctx, []any{&total}, email)
	return users, total, err
}

// PasswordHash implements accounts.Repository.
func (s *Store) PasswordHash(ctx context.Context, id string) (string, error) {
	var hash string
	err := s.hash.QueryRow(ctx, []any{&hash}, id)
	if errors.Is(err, postgres.ErrNoRows) {
		return "", accounts.ErrAbsent
	}
	return hash, err
}

// Update implements accounts.Repository.
func (s *Store) Update(ctx context.Context, id string, c accounts.Update) (u accounts.User, err error) {
	if uuid.Validate(id) != nil {
		return accounts.User{}, accounts.ErrAbsent
	}
	err = s.db.Atomically(ctx, func(ctx context.Context) error {
		if u, err = find(ctx, s.update, nil, id, c.Role, c.Disabled, c.PasswordHash, c.PresentHash); err != nil {
			return err
		}
		if c.PasswordHash == "" && !u.Disabled {
			return nil
		}
		_, err = s.end.Exec(ctx, id)
		return err
	})
	return u, err
}

// Begin implements accounts.Repository.
func (s *Store) Begin(ctx context.Context, userID, passwordHash string, t accounts.Token) (accounts.User, error) {
	return find(ctx, s.begin, nil, userID, passwordHash, t.Hash, t.Family, t.Life.Microseconds())
}

// Rotate implements accounts.Repository.
func (s *Store) Rotate(
	ctx context.Context, hash, successor []byte, life, grace time.Duration,
) (accounts.User, error) {
	return find(ctx, s.rotate, nil, hash, successor, life.Microseconds(), grace.Microseconds())
}

// Revoke implements accounts.Repository.
func (s *Store) Revoke(ctx context.Context, hash []byte) error {
	_, err := s.revoke.Exec(ctx, hash)
	return err
}

// Sweep implements accounts.Repository. It removes at most a thousand tokens, so that it never holds much.
func (s *Store) Sweep(ctx context.Context) error {
	_, err := s.sweep.Exec(ctx)
	return err
}

// find scans a user and what follows it.
func find(ctx context.Context, statement *postgres.Statement, more []any, args ...any) (accounts.User, error) {
	var u accounts.User
	dest := append([]any{&u.ID, &u.Email, &u.Role, &u.Disabled, &u.CreatedAt}, more...)
	err := statement.QueryRow(ctx, dest, args...)
	if errors.Is(err, postgres.ErrNoRows) {
		return accounts.User{}, accounts.ErrAbsent
	}
	u.CreatedAt = u.CreatedAt.UTC()
	return u, err
}
