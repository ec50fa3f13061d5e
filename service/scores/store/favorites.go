package store

import (
	"context"
	"database/sql"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/favorite"
)

const (
	// favoriteCards are the cards of the favorites of $1 that $1 may read by ID; $2 says that these are all.
	favoriteCards = ` from (select score_id, created_at as marked_at from favorites where user_id = $1) marked
	join score_cards using (score_id) where ($2 or visibility <> 'private' or owner_id = $1)`

	listFavorites  = `select ` + cardColumns + favoriteCards + ` order by marked_at desc, score_id desc limit $3 offset $4`
	countFavorites = `select count(*)` + favoriteCards
	amongFavorites = `select score_id` + favoriteCards + ` and score_id = any($3::uuid[])`
	removeFavorite = `delete from favorites where user_id = $1 and score_id = $2`
	// The update that changes nothing makes a favorite that is there count as a row, so that no row means no score.
	insertFavorite = `insert into favorites (user_id, score_id) select $1, id from scores where id = $2
	on conflict (user_id, score_id) do update set created_at = favorites.created_at`
)

// Favorites implements favorite.Repository. It may be used by many goroutines.
type Favorites struct {
	list, count, among, insert, remove *postgres.Statement
}

var _ favorite.Repository = (*Favorites)(nil)

// NewFavorites returns a store of favorites. It does not touch the database before it is used.
func NewFavorites(db *postgres.DB) *Favorites {
	return &Favorites{
		list:   db.Prepared("favorites.list", listFavorites),
		count:  db.Prepared("favorites.count", countFavorites),
		among:  db.Prepared("favorites.among", amongFavorites),
		insert: db.Prepared("favorites.insert", insertFavorite, postgres.Repeatable),
		remove: db.Prepared("favorites.remove", removeFavorite, postgres.Repeatable),
	}
}

// List implements favorite.Repository. The page and the number may differ by what is written in between.
func (f *Favorites) List(ctx context.Context, s scores.Selection, page, limit int) ([]scores.Card, int64, error) {
	found, err := readCards(ctx, f.list, s.Reader, s.Everything, limit, (page-1)*limit)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	err = f.count.QueryRow(ctx, []any{&total}, s.Reader, s.Everything)
	return found, total, err
}

// Among implements favorite.Repository.
func (f *Favorites) Among(ctx context.Context, s scores.Selection, scoreIDs []string) ([]string, error) {
	var found []string
	err := f.among.Query(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		found = append(found, id)
		return err
	}, s.Reader, s.Everything, pq.Array(scoreIDs))
	return found, err
}

// Insert implements favorite.Repository.
func (f *Favorites) Insert(ctx context.Context, userID, scoreID string) error {
	n, err := f.insert.Exec(ctx, userID, scoreID)
	if err == nil && n == 0 {
		return favorite.ErrAbsent
	}
	return err
}

// Remove implements favorite.Repository.
func (f *Favorites) Remove(ctx context.Context, userID, scoreID string) error {
	_, err := f.remove.Exec(ctx, userID, scoreID)
	return err
}
