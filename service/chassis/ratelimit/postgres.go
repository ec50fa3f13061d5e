package ratelimit

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
)

const (
	// grant is how much of what is left a lease gets: what is needed, or more if that is no more than a tenth.
	grant = `greatest(0, least(%[1]s, greatest($4::int, least($5::int, (%[1]s) / 10))))`

	// One statement takes: the row's lock puts those who take at the same time in order, and now() is the same throughout it. A
	// window that is over is replaced.
	take = `insert into rate_limits as r (key, ends_at, taken, granted)
	values ($1, now() + $2::bigint * interval '1 microsecond', %[1]s, %[1]s)
	on conflict (key) do update set
		granted = case when r.ends_at <= now() then excluded.granted else %[2]s end,
		taken = case when r.ends_at <= now() then excluded.taken else r.taken + %[2]s end,
		ends_at = case when r.ends_at <= now() then excluded.ends_at else r.ends_at end
	returning granted, taken, (extract(epoch from ends_at) * 1000000)::bigint,
		(extract(epoch from ends_at - now()) * 1000000)::bigint`

	// A row is given back to only in the window that the lease is from. Rows are locked in one order, so that two that give back do
	// not wait for each other for ever.
	giveBack = `with given as (
		select * from unnest($1::bytea[], $2::int[], $3::bigint[]) as g (key, units, window_id)
	), mine as (
		select r.key, g.units from rate_limits r join given g on r.key = g.key
		where (extract(epoch from r.ends_at) * 1000000)::bigint = g.window_id
		order by r.key for update of r
	)
	update rate_limits r set taken = r.taken - mine.units from mine where r.key = mine.key`

	sweep = `delete from rate_limits where key in (
		select key from rate_limits where ends_at <= now() order by ends_at limit 10000 for update skip locked)`

	// A process is there as a row whose key begins with zeros, which no key of a client does, and which is out of use when the process has not
	// renewed it. The others are those of before, so it counts itself.
	join = `with me as (
		insert into rate_limits (key, ends_at, taken, granted) values ($1, now() + $2::bigint * interval '1 microsecond', 0, 0)
		on conflict (key) do update set ends_at = excluded.ends_at
	)
	select 1 + count(*) from rate_limits where key < $3 and key <> $1 and ends_at > now()`

	// maxRests is how many leases are given back in one statement.
	maxRests = 500
)

// Postgres is a Fleet that counts in the table rate_limits. It needs connections of its own, or requests would wait to be
// counted for those that are being served.
type Postgres struct {
	db                *postgres.DB
	take, sweep, join *postgres.Statement
	// self is the key under which this process is there, others is the least of all keys of clients.
	self, others Key
}

// NewPostgres returns a fleet. It does not touch the database before it is used.
func NewPostgres(db *postgres.DB) *Postgres {
	fresh, running := fmt.Sprintf(grant, "$3::int"), fmt.Sprintf(grant, "$3::int - r.taken")
	out := &Postgres{
		db:    db,
		take:  db.Prepared("rate_limits.take", fmt.Sprintf(take, fresh, running)),
		sweep: db.Prepared("rate_limits.sweep", sweep),
		join:  db.Prepared("rate_limits.join", join, postgres.Repeatable),
	}
	const zeros = len(out.self) / 2
	_, _ = rand.Read(out.self[zeros:]) // never fails
	out.others[zeros-1] = 1
	return out
}

// Join implements Fleet.
func (p *Postgres) Join(ctx context.Context) (processes int, err error) {
	err = p.join.QueryRow(ctx, []any{&processes}, p.self[:], present.Microseconds(), p.others[:])
	return processes, err
}

// Take implements Fleet. Taking twice by accident, as a lost connection may cause, only makes the limit stricter.
func (p *Postgres) Take(ctx context.Context, key Key, limit Limit, need, like int) (Lease, error) {
	var lease Lease
	var taken int
	var life int64
	err := p.take.QueryRow(ctx, []any{&lease.Units, &taken, &lease.Window, &life},
		key[:], limit.Window.Microseconds(), limit.Requests, need, like)
	if err != nil {
		return Lease{}, err
	}
	lease.Left, lease.Life = max(0, limit.Requests-taken), time.Duration(life)*time.Microsecond
	return lease, nil
}

// GiveBack implements Fleet.
func (p *Postgres) GiveBack(ctx context.Context, rests []Rest) error {
	for part := range slices.Chunk(summed(rests), maxRests) {
		if err := p.giveBack(ctx, part); err != nil {
			return fmt.Errorf("giving back: %w", err)
		}
	}
	return nil
}

// giveBack uses one connection without a second try: what is given back twice would be spent twice.
func (p *Postgres) giveBack(ctx context.Context, rests []Rest) error {
	keys, units, windows := make(pq.ByteaArray, len(rests)), make(pq.Int32Array, len(rests)), make(pq.Int64Array, len(rests))
	for i, r := range rests {
		keys[i], units[i], windows[i] = r.Key[:], int32(r.Units), r.Window //nolint:gosec // a lease has few
	}
	conn, err := p.db.Pool().Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.ExecContext(ctx, giveBack, keys, units, windows)
	return err
}

// summed joins what belongs to the same window, since a statement changes a row once.
func summed(rests []Rest) []Rest {
	rests = slices.Clone(rests)
	slices.SortFunc(rests, func(a, b Rest) int {
		if c := bytes.Compare(a.Key[:], b.Key[:]); c != 0 {
			return c
		}
		return int(a.Window - b.Window)
	})
	sums := rests[:0]
	for _, r := range rests {
		if last := len(sums) - 1; last >= 0 && sums[last].Key == r.Key && sums[last].Window == r.Window {
			sums[last].Units += r.Units
			continue
		}
		sums = append(sums, r)
	}
	return sums
}

// Sweep removes windows that are over, at most ten thousand.
func (p *Postgres) Sweep(ctx context.Context) error {
	_, err := p.sweep.Exec(ctx)
	return err
}
