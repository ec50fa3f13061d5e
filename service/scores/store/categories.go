package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores/category"
)

// categoryColumns are the columns of a category in the order of categoryDest.
const categoryColumns = `id, name, slug, description, parent_id, position, version, created_at, updated_at`

const (
	allCategories = `select ` + categoryColumns + ` from categories order by position, name`

	// The conflict can only be the same statement sent again by the driver, since the ID is random.
	insertCategory = `insert into categories (id, name, slug, description, parent_id, position)
	select $1::uuid, $2, $3, $4, $5::uuid, $6::integer where (select count(*) from categories) < $7::bigint
	on conflict (id) do update set id = excluded.id returning ` + categoryColumns

	replaceCategory = `update categories set name = $3, slug = $4, description = $5, parent_id = $6, position = $7,
	version = version + 1, updated_at = now() where id = $1 and version = $2 returning ` + categoryColumns

	removeCategory = `delete from categories where id = $1 and version = $2`

	categoriesOf = `select ` + categoryColumns + ` from categories
	where id in (select category_id from score_categories where score_id = $1) order by name`

	assignCategories = `with target as (
		update scores set version = version + 1, updated_at = now() where id = $1 and version = $2 returning id, version),
	gone as (
		delete from score_categories using target where score_id = target.id and category_id <> all($3::uuid[])),
	added as (
		insert into score_categories (score_id, category_id)
		select target.id, c.id from target, categories c where c.id = any($3::uuid[]) on conflict do nothing)
	select version from target`
)

// Categories implements category.Repository. It may be used by many goroutines.
type Categories struct {
	all, insert, replace, remove, of, assign *postgres.Statement
}

var _ category.Repository = (*Categories)(nil)

// NewCategories returns a store of categories. It does not touch the database before it is used.
func NewCategories(db *postgres.DB) *Categories {
	return &Categories{
		all:     db.Prepared("categories.all", allCategories),
		insert:  db.Prepared("categories.insert", insertCategory),
		replace: db.Prepared("categories.replace", replaceCategory),
		remove:  db.Prepared("categories.remove", removeCategory),
		of:      db.Prepared("categories.of_score", categoriesOf),
		assign:  db.Prepared("categories.assign", assignCategories),
	}
}

// All implements category.Repository.
func (s *Categories) All(ctx context.Context) ([]category.Category, error) {
	return readCategories(ctx, s.all)
}

// Of implements category.Repository.
func (s *Categories) Of(ctx context.Context, scoreID string) ([]category.Category, error) {
	return readCategories(ctx, s.of, scoreID)
}

// Insert implements category.Repository.
func (s *Categories) Insert(ctx context.Context, c category.Category) (category.Category, error) {
	return oneCategory(ctx, s.insert, c.ID, c.Name, c.Slug, c.Description, c.ParentID, c.Position, category.MaxCategories)
}

// Replace implements category.Repository.
func (s *Categories) Replace(ctx context.Context, c category.Category) (category.Category, error) {
	return oneCategory(ctx, s.replace, c.ID, c.Version, c.Name, c.Slug, c.Description, c.ParentID, c.Position)
}

// Remove implements category.Repository.
func (s *Categories) Remove(ctx context.Context, id string, version int64) error {
	n, err := s.remove.Exec(ctx, id, version)
	if err == nil && n == 0 {
		return category.ErrAbsent
	}
	return err
}

// Assign implements category.Repository.
func (s *Categories) Assign(ctx context.Context, scoreID string, version int64, ids []string) (int64, error) {
	var next int64
	err := s.assign.QueryRow(ctx, []any{&next}, scoreID, version, pq.Array(ids))
	if errors.Is(err, postgres.ErrNoRows) {
		return 0, category.ErrAbsent
	}
	return next, err
}

func categoryDest(c *category.Category) []any {
	return []any{&c.ID, &c.Name, &c.Slug, &c.Description, &c.ParentID, &c.Position, &c.Version, &c.CreatedAt, &c.UpdatedAt}
}

func oneCategory(ctx context.Context, st *postgres.Statement, args ...any) (category.Category, error) {
	var c category.Category
	err := st.QueryRow(ctx, categoryDest(&c), args...)
	if errors.Is(err, postgres.ErrNoRows) {
		return c, category.ErrAbsent
	}
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return c, err
}

func readCategories(ctx context.Context, st *postgres.Statement, args ...any) ([]category.Category, error) {
	var found []category.Category
	err := st.Query(ctx, func(rows *sql.Rows) error {
		var c category.Category
		if err := rows.Scan(categoryDest(&c)...); err != nil {
			return err
		}
		c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
		found = append(found, c)
		return nil
	}, args...)
	return found, err
}
