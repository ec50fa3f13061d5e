// Command plain answers the requests of the comparison with net/http and lib/pq alone: the same statements as the
// service, prepared once, and the same check of the token, but without go-kit, validation, caches, limits, log and
// metrics. What it is faster than the service is what those cost.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lib/pq"
)

const (
	columns = `id, owner_id, title, composer, tags, metadata, status, visibility, version, created_at, updated_at`
	cards   = `score_id, owner_id, title, composer, tags, status, visibility, version, created_at, updated_at, favorite_count, categories`
	list    = `select ` + cards + ` from (
	(select ` + cards + ` from score_cards where owner_id = $1 order by created_at desc, score_id desc limit $2)
	union all
	(select ` + cards + ` from score_cards where visibility = 'public' and owner_id <> $1 order by created_at desc, score_id desc limit $2)
	) part order by created_at desc, score_id desc limit $2`
	count = `select (select count(*) from score_cards where owner_id = $1) +
	(select count(*) from score_cards where visibility = 'public' and owner_id <> $1)`
)

type score struct {
	ID         string          `json:"id"`
	OwnerID    string          `json:"ownerId"`
	Title      string          `json:"title"`
	Composer   *string         `json:"composer"`
	Tags       []string        `json:"tags"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	Status     string          `json:"status"`
	Visibility string          `json:"visibility"`
	Version    int64           `json:"version"`
	CreatedAt  time.Time       `json:"createdAt"`
	UpdatedAt  time.Time       `json:"updatedAt"`
	Favorites  *int            `json:"favoriteCount,omitempty"`
	Categories []string        `json:"categories,omitempty"`
}

func (s *score) scan(scan func(...any) error) error {
	var metadata []byte
	err := scan(&s.ID, &s.OwnerID, &s.Title, &s.Composer, pq.Array(&s.Tags), &metadata, &s.Status, &s.Visibility, &s.Version, &s.CreatedAt, &s.UpdatedAt)
	s.Metadata = metadata
	return err
}

type server struct {
	secret                            []byte
	find, list, count, insert, update *sql.Stmt
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(10)
	db.SetMaxIdleConns(10)
	s := &server{secret: []byte(os.Getenv("JWT_SECRET"))}
	for statement, text := range map[**sql.Stmt]string{
		&s.find: `select ` + columns + ` from scores where id = $1`, &s.list: list, &s.count: count,
		&s.insert: `insert into scores (id, owner_id, title, visibility) values (gen_random_uuid(), $1, $2, $3) returning ` + columns,
		&s.update: `update scores set title = $3, version = version + 1, updated_at = now() where id = $1 and owner_id = $2 returning ` + columns,
	} {
		if *statement, err = db.PrepareContext(context.Background(), text); err != nil { //nolint:sqlclosecheck // used until the process ends
			return err
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/scores/{id}", s.authorized(s.get))
	mux.HandleFunc("GET /api/scores", s.authorized(s.page))
	mux.HandleFunc("POST /api/scores", s.authorized(s.create))
	mux.HandleFunc("PUT /api/scores/{id}", s.authorized(s.change))
	if name := os.Getenv("BARE_ANSWER"); name != "" {
		b, err := readBare(name)
		if err != nil {
			return err
		}
		mux.Handle("GET /bare", b)
	}
	return (&http.Server{Addr: os.Getenv("API_ADDR"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}).ListenAndServe()
}

// bare is the least that a handler can do: it writes an answer of the service, its header and its body.
type bare struct {
	Header http.Header
	Body   []byte
}

func readBare(name string) (b bare, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(text, &b)
}

func (b bare) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	maps.Copy(w.Header(), b.Header)
	_, _ = w.Write(b.Body)
}

func (s *server) authorized(next func(w http.ResponseWriter, r *http.Request, user string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := jwt.ParseWithClaims(text, &jwt.RegisteredClaims{}, func(*jwt.Token) (any, error) { return s.secret, nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		user, _ := token.Claims.GetSubject()
		if err := next(w, r, user); errors.Is(err, sql.ErrNoRows) {
			w.WriteHeader(http.StatusNotFound)
		} else if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

func answer(w http.ResponseWriter, status int, body map[string]any) error {
	body["success"] = true
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
	return nil
}

func (s *server) get(w http.ResponseWriter, r *http.Request, user string) error {
	var found score
	if err := found.scan(s.find.QueryRowContext(r.Context(), r.PathValue("id")).Scan); err != nil {
		return err
	}
	if found.Visibility == "private" && found.OwnerID != user {
		return sql.ErrNoRows
	}
	return answer(w, http.StatusOK, map[string]any{"data": found})
}

func (s *server) page(w http.ResponseWriter, r *http.Request, user string) error {
	const limit = 20
	rows, err := s.list.QueryContext(r.Context(), user, limit)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var found []score
	for rows.Next() {
		var c score
		if err := rows.Scan(&c.ID, &c.OwnerID, &c.Title, &c.Composer, pq.Array(&c.Tags), &c.Status, &c.Visibility,
			&c.Version, &c.CreatedAt, &c.UpdatedAt, &c.Favorites, pq.Array(&c.Categories)); err != nil {
			return err
		}
		found = append(found, c)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var total int64
	if err := s.count.QueryRowContext(r.Context(), user).Scan(&total); err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]any{"data": found, "pagination": map[string]any{"page": 1, "limit": limit, "total": total}})
}

func (s *server) create(w http.ResponseWriter, r *http.Request, user string) error {
	var given score
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		return err
	}
	var made score
	if err := made.scan(s.insert.QueryRowContext(r.Context(), user, given.Title, given.Visibility).Scan); err != nil {
		return err
	}
	return answer(w, http.StatusCreated, map[string]any{"data": made})
}

func (s *server) change(w http.ResponseWriter, r *http.Request, user string) error {
	var given, made score
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		return err
	}
	if err := made.scan(s.update.QueryRowContext(r.Context(), r.PathValue("id"), user, given.Title).Scan); err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]any{"data": made})
}
