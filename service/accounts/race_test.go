package accounts_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/accounts"
	"github.com/mirubato/mirubato/service/accounts/store"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// interrupted does something else first, whenever a session is about to be kept or a user to be changed.
type interrupted struct {
	accounts.Repository
	beforeBegin, beforeUpdate func()
}

func (i *interrupted) Begin(ctx context.Context, id, passwordHash string, token accounts.Token) (accounts.User, error) {
	once(&i.beforeBegin)
	return i.Repository.Begin(ctx, id, passwordHash, token)
}

func (i *interrupted) Update(ctx context.Context, id string, c accounts.Update) (accounts.User, error) {
	once(&i.beforeUpdate)
	return i.Repository.Update(ctx, id, c)
}

func once(f *func()) {
	if do := *f; do != nil {
		*f = nil
		do()
	}
}

// What happens to a user between the comparison of the password and what follows from it counts.
func TestC32ChangesBetweenTheStepsOfALogin(t *testing.T) {
	role := func(r auth.Role) *auth.Role { return &r }
	yes := true
	const own, login = `{"password":"` + password + `","newPassword":"another horse battery"}`, `{"email":"ada@example.org","password":"` + password + `"}`
	for name, tc := range map[string]struct {
		change       accounts.Update
		login, owner int
	}{
		"another password": {change: accounts.Update{PasswordHash: "another"}, login: 401, owner: 409},
		"disabled":         {change: accounts.Update{Disabled: &yes}, login: 401, owner: 409},
		"another role":     {change: accounts.Update{Role: role(auth.RoleUser)}, login: 200, owner: 200},
	} {
		t.Run(name, func(t *testing.T) {
			between := &interrupted{}
			a := newAPIOn(t, func(r accounts.Repository) accounts.Repository {
				between.Repository = r
				return between
			})
			ada, bea := a.user("ada@example.org"), a.user("bea@example.org")
			change := func(u accounts.User) func() {
				return func() {
					if _, err := between.Repository.Update(t.Context(), u.ID, tc.change); err != nil {
						t.Error(err)
					}
				}
			}
			caller := a.as(auth.Identity{ID: bea.ID, Role: bea.Role})
			between.beforeBegin = change(ada)
			status, body := a.call("POST", "/api/auth/token", "", login)
			if status != tc.login {
				t.Errorf("login: %d %s, want %d", status, body, tc.login)
			}
			if status == 200 {
				a.wants(t, data[accounts.Tokens](t, body).AccessToken, auth.RoleUser)
			}
			// The audit entry is there by then, but the user is not yet locked.
			between.beforeUpdate = change(bea)
			if status, body := a.call("PUT", "/api/auth/password", caller, own); status != tc.owner {
				t.Errorf("password: %d %s, want %d", status, body, tc.owner)
			}
			if u, err := between.ByID(t.Context(), bea.ID); err != nil || tc.change.Role != nil && u.Role != auth.RoleUser || u.Disabled != (tc.change.Disabled != nil) {
				t.Errorf("the change of the password undid another one: %+v, %v", u, err)
			}
		})
	}
}

// wants says whose role an access token carries.
func (a *api) wants(t *testing.T, token string, role auth.Role) {
	t.Helper()
	if _, body := a.call("GET", "/api/auth/me", token, ""); data[accounts.Me](t, body).Role != role {
		t.Errorf("%s, want the role %s", body, role)
	}
}

// A session that begins or goes on while its user's sessions end, ends with them, whichever statement comes first.
func TestC32SessionsThatOverlapTheirEnd(t *testing.T) {
	token := func(text string) accounts.Token {
		hash := sha256.Sum256([]byte(text))
		return accounts.Token{Family: uuid.NewString(), Hash: hash[:], Life: time.Hour}
	}
	old, next := token("old"), token("next")
	acts := map[string]func(context.Context, *store.Store, string) error{
		"begins": func(ctx context.Context, s *store.Store, id string) error {
			_, err := s.Begin(ctx, id, "hash", next)
			return err
		},
		"goes on": func(ctx context.Context, s *store.Store, _ string) error {
			_, err := s.Rotate(ctx, old.Hash, next.Hash, time.Hour, 0)
			return err
		},
	}
	for name, act := range acts {
		for _, sessionFirst := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", then they end", false: " after they ended"}[sessionFirst], func(t *testing.T) {
				db := scorestest.Open(t, scorestest.URL(t))
				s, ctx := store.New(db), t.Context()
				u, err := s.Insert(ctx, accounts.User{ID: uuid.NewString(), Email: "ada@example.org", Role: auth.RoleUser}, "hash")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Begin(ctx, u.ID, "hash", old); err != nil {
					t.Fatal(err)
				}
				session := func(ctx context.Context) error { return act(ctx, s, u.ID) }
				end := func(ctx context.Context) error {
					_, err := s.Update(ctx, u.ID, accounts.Update{PasswordHash: "another"})
					return err
				}
				first, second := session, end
				if !sessionFirst {
					first, second = end, session
				}
				err1, err2 := overlap(t, db, first, second)
				if err1 != nil || (err2 != nil) == sessionFirst {
					t.Errorf("the first: %v, the second: %v", err1, err2)
				}
				for _, hash := range [][]byte{old.Hash, next.Hash} {
					after := token("after")
					if _, err := s.Rotate(ctx, hash, after.Hash, time.Hour, time.Hour); !errors.Is(err, accounts.ErrAbsent) {
						t.Errorf("the session goes on: %v", err)
					}
				}
			})
		}
	}
}

// overlap runs first in a transaction, which is committed when second waits for it.
func overlap(t *testing.T, db *postgres.DB, first, second func(context.Context) error) (err1, err2 error) {
	t.Helper()
	outside := t.Context()
	ended := make(chan error, 1)
	waiting := db.Direct("test.waiting", `select count(*) from pg_stat_activity
		where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0`)
	err1 = db.Atomically(outside, func(ctx context.Context) error {
		err := first(ctx)
		go func() { ended <- second(outside) }()
		for n := 0; n == 0; {
			if err := waiting.QueryRow(outside, []any{&n}); err != nil {
				return err
			}
			select {
			case err2 := <-ended:
				t.Error("the second did not wait for the first")
				ended <- err2
				return err
			default:
			}
		}
		return err
	})
	return err1, <-ended
}
