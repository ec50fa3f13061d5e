package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/collection"
)

// collectionColumns are the columns of a collection in the order of collectionDest.
const collectionColumns = `id, owner_id, name, description, visibility, is_default, featured_at, version, created_at, updated_at`

const (
	// listable are the collections that $1 may list, or all if $2, of the owner $3 or of everybody if that is empty.
	listable = ` from collections where ($2::boolean or visibility = 'public' or owner_id = $1 or id in (
		select collection_id from collection_shares where user_id = $1)) and ($3 = '' or owner_id = $3)`

	listCollections = `select ` + collectionColumns + listable + ` order by created_at desc, id desc limit $4 offset $5`

	countCollections = `select count(*)` + listable

	featuredCollections = `select ` + collectionColumns + ` from collections
	where featured_at is not null and visibility = 'public' order by featured_at desc, id desc limit $1`

	// The conflict can only be the same statement sent again by the driver, since the ID is random.
	insertCollection = `insert into collections (id, owner_id, name, description, visibility, is_default)
	values ($1, $2, $3, $4, $5, $6) on conflict (id) do update set id = excluded.id returning ` + collectionColumns

	findCollection = `select ` + collectionColumns + `, exists (
		select from collection_shares where collection_id = id and user_id = $2) from collections where id = $1`

	replaceCollection = `update collections set name = $3, description = $4, visibility = $5,
	version = version + 1, updated_at = now() where id = $1 and version = $2 returning ` + collectionColumns

	removeCollection = `delete from collections where id = $1 and version = $2`

	// A collection that is featured again keeps its place.
	featureCollection = `update collections set featured_at = case when $2::boolean then coalesce(featured_at, now()) end,
	version = version + 1, updated_at = now() where id = $1 and (featured_at is not null) <> $2::boolean`

	// memberCards are the cards in the collection $1 of the owner $4 that the reader $2 may see, or all if $3.
	memberCards = ` from (select score_id, added_at from collection_members where collection_id = $1) member
	join score_cards using (score_id) where ($3::boolean or visibility = 'public' or owner_id = $2
		or visibility = 'unlisted' and owner_id = $4)`

	listMembers = `select ` + cardColumns + memberCards + ` order by added_at desc, score_id desc limit $5 offset $6`

	countMembers = `select count(*)` + memberCards

	// The update that changes nothing makes a member that is there count as a row, so that no row means no place, or nothing
	// to put there. Many who add at once may exceed the bound by their number, which does no harm.
	addMember = `insert into collection_members (collection_id, score_id)
	select target.id, scores.id from collections target, scores where target.id = $1 and scores.id = $2 and (
		(select count(*) from collection_members where collection_id = $1) < $3::bigint
		or exists (select from collection_members where collection_id = $1 and score_id = $2))
	on conflict (collection_id, score_id) do update set added_at = collection_members.added_at`

	// The cards are locked first, in the order of their IDs, so that two batches wait for each other instead of deadlocking.
	// What the caller $4 may not read is passed over; $5 says that this is nothing.
	changeMembers = `with locked as materialized (
		select score_id from score_cards where score_id = any($2::uuid[] || $3::uuid[]) order by score_id for no key update),
	kept as (
		select score_id from collection_members where collection_id = $1 and score_id <> all($3::uuid[])),
	wanted as (
		select s.id from scores s join locked on locked.score_id = s.id
		where s.id = any($2::uuid[]) and s.id not in (select score_id from kept)
			and ($5::boolean or s.visibility <> 'private' or s.owner_id = $4)),
	target as (
		select id from collections where id = $1
			and (select count(*) from kept) + (select count(*) from wanted) <= $6::bigint),
	removed as (
		delete from collection_members using target where collection_id = target.id and score_id = any($3::uuid[])
		returning score_id),
	added as (
		insert into collection_members (collection_id, score_id) select target.id, wanted.id from target, wanted
		on conflict (collection_id, score_id) do nothing returning score_id)
	select (select count(*) from added), (select count(*) from removed) from target`

	removeMember = `delete from collection_members where collection_id = $1 and score_id = $2`

	listShares = `select user_id from collection_shares where collection_id = $1 order by user_id`

	addShare = `insert into collection_shares (collection_id, user_id)
	select target.id, $2::text from collections target where target.id = $1 and (
		(select count(*) from collection_shares where collection_id = $1) < $3::bigint
		or exists (select from collection_shares where collection_id = $1 and user_id = $2))
	on conflict (collection_id, user_id) do update set created_at = collection_shares.created_at`

	removeShare = `delete from collection_shares where collection_id = $1 and user_id = $2`
)

// Collections implements collection.Repository. It may be used by many goroutines.
type Collections struct {
	list, count, featured, insert, find, replace, remove, feature *postgres.Statement
	members, countMembers, addMember, removeMember, changeMembers *postgres.Statement
	shares, share, unshare                                        *postgres.Statement
}

var _ collection.Repository = (*Collections)(nil)

// NewCollections returns a store of collections. It does not touch the database before it is used.
func NewCollections(db *postgres.DB) *Collections {
	return &Collections{
		list:          db.Prepared("collections.list", listCollections),
		count:         db.Prepared("collections.count", countCollections),
		featured:      db.Prepared("collections.featured", featuredCollections),
		insert:        db.Prepared("collections.insert", insertCollection),
		find:          db.Prepared("collections.find", findCollection),
		replace:       db.Prepared("collections.replace", replaceCollection),
		remove:        db.Prepared("collections.remove", removeCollection),
		feature:       db.Prepared("collections.feature", featureCollection),
		members:       db.Prepared("collections.members", listMembers),
		countMembers:  db.Prepared("collections.count_members", countMembers),
		addMember:     db.Prepared("collections.add_member", addMember),
		removeMember:  db.Prepared("collections.remove_member", removeMember),
		changeMembers: db.Prepared("collections.change_members", changeMembers),
		shares:        db.Prepared("collections.shares", listShares),
		share:         db.Prepared("collections.share", addShare),
		unshare:       db.Prepared("collections.unshare", removeShare),
	}
}

// List implements collection.Repository.
func (s *Collections) List(
	ctx context.Context, sel scores.Selection, owner string, page, limit int,
) ([]collection.Collection, int64, error) {
	found, err := readCollections(ctx, s.list, sel.Reader, sel.Everything, owner, limit, (page-1)*limit)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	err = s.count.QueryRow(ctx, []any{&total}, sel.Reader, sel.Everything, owner)
	return found, total, err
}

// Featured implements collection.Repository.
func (s *Collections) Featured(ctx context.Context, limit int) ([]collection.Collection, error) {
	return readCollections(ctx, s.featured, limit)
}

// Insert implements collection.Repository.
func (s *Collections) Insert(ctx context.Context, c collection.Collection) (collection.Collection, error) {
	return oneCollection(ctx, s.insert, nil, c.ID, c.OwnerID, c.Name, c.Description, c.Visibility, c.IsDefault)
}

// Find implements collection.Repository.
func (s *Collections) Find(ctx context.Context, id, userID string) (c collection.Collection, shared bool, err error) {
	c, err = oneCollection(ctx, s.find, []any{&shared}, id, userID)
	return c, shared, err
}

// Replace implements collection.Repository.
func (s *Collections) Replace(ctx context.Context, c collection.Collection) (collection.Collection, error) {
	return oneCollection(ctx, s.replace, nil, c.ID, c.Version, c.Name, c.Description, c.Visibility)
}

// Remove implements collection.Repository.
func (s *Collections) Remove(ctx context.Context, id string, version int64) error {
	return oneRow(ctx, s.remove, id, version)
}

// Feature implements collection.Repository.
func (s *Collections) Feature(ctx context.Context, id string, featured bool) error {
	_, err := s.feature.Exec(ctx, id, featured)
	return err
}

// Members implements collection.Repository.
func (s *Collections) Members(
	ctx context.Context, sel scores.Selection, c collection.Collection, page, limit int,
) ([]scores.Card, int64, error) {
	found, err := readCards(ctx, s.members, c.ID, sel.Reader, sel.Everything, c.OwnerID, limit, (page-1)*limit)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	err = s.countMembers.QueryRow(ctx, []any{&total}, c.ID, sel.Reader, sel.Everything, c.OwnerID)
	return found, total, err
}

// AddMember implements collection.Repository.
func (s *Collections) AddMember(ctx context.Context, id, scoreID string) error {
	return oneRow(ctx, s.addMember, id, scoreID, collection.MaxMembers)
}

// RemoveMember implements collection.Repository.
func (s *Collections) RemoveMember(ctx context.Context, id, scoreID string) error {
	_, err := s.removeMember.Exec(ctx, id, scoreID)
	return err
}

// ChangeMembers implements collection.Repository.
func (s *Collections) ChangeMembers(
	ctx context.Context, sel scores.Selection, id string, add, remove []string,
) (added, removed int64, err error) {
	err = s.changeMembers.QueryRow(ctx, []any{&added, &removed},
		id, pq.Array(append([]string{}, add...)), pq.Array(append([]string{}, remove...)), sel.Reader, sel.Everything, collection.MaxMembers)
	if errors.Is(err, postgres.ErrNoRows) {
		return 0, 0, collection.ErrAbsent
	}
	return added, removed, err
}

// Shares implements collection.Repository.
func (s *Collections) Shares(ctx context.Context, id string) ([]string, error) {
	var found []string
	err := s.shares.Query(ctx, func(rows *sql.Rows) error {
		var user string
		err := rows.Scan(&user)
		found = append(found, user)
		return err
	}, id)
	return found, err
}

// Share implements collection.Repository.
func (s *Collections) Share(ctx context.Context, id, userID string) error {
	return oneRow(ctx, s.share, id, userID, collection.MaxShares)
}

// Unshare implements collection.Repository.
func (s *Collections) Unshare(ctx context.Context, id, userID string) error {
	_, err := s.unshare.Exec(ctx, id, userID)
	return err
}

func oneRow(ctx context.Context, st *postgres.Statement, args ...any) error {
	n, err := st.Exec(ctx, args...)
	if err == nil && n == 0 {
		return collection.ErrAbsent
	}
	return err
}

func collectionDest(c *collection.Collection) []any {
	return []any{
		&c.ID, &c.OwnerID, &c.Name, &c.Description, &c.Visibility, &c.IsDefault, &c.FeaturedAt, &c.Version, &c.CreatedAt, &c.UpdatedAt,
	}
}

// inUTC brings the times of a row into the zone of the API.
func inUTC(c collection.Collection) collection.Collection {
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	if c.FeaturedAt != nil {
		c.FeaturedAt = new(c.FeaturedAt.UTC())
	}
	return c
}

func oneCollection(ctx context.Context, st *postgres.Statement, more []any, args ...any) (collection.Collection, error) {
	var c collection.Collection
	err := st.QueryRow(ctx, append(collectionDest(&c), more...), args...)
	if errors.Is(err, postgres.ErrNoRows) {
		return c, collection.ErrAbsent
	}
	return inUTC(c), err
}

func readCollections(ctx context.Context, st *postgres.Statement, args ...any) ([]collection.Collection, error) {
	var found []collection.Collection
	err := st.Query(ctx, func(rows *sql.Rows) error {
		var c collection.Collection
		if err := rows.Scan(collectionDest(&c)...); err != nil {
			return err
		}
		found = append(found, inUTC(c))
		return nil
	}, args...)
	return found, err
}
