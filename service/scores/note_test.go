package scores_test

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores/note"
	"github.com/mirubato/mirubato/service/scores/store"
)

// keyset is a new one.
func keyset(t testing.TB) *encryption.Keys {
	t.Helper()
	text, err := encryption.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := encryption.NewKeys(secret.FromValue(text), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestLifeOfNotes(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Nocturne"}`) + "/notes"
	a.as(alice, "GET", path, "").expect(t, 404, "")
	first := a.as(alice, "PUT", path, `{"notes":"  Slower in\nbar 12. "}`).expect(t, 200, `"1"`)
	if got := decode[httpapi.Envelope[note.Note]](t, first).Data; got.Notes != "Slower in\nbar 12." || got.Version != 1 || got.UpdatedAt.IsZero() {
		t.Errorf("written: %+v", got)
	}
	if cc := first.header.Get("Cache-Control"); cc != "no-store" {
		t.Errorf("others may keep the answer: %q", cc)
	}
	a.as(alice, "PUT", path, `{"notes":"Faster"}`, "If-Match", `"1"`).expect(t, 200, `"2"`)
	a.as(alice, "PUT", path, `{"notes":"Late"}`, "If-Match", `"1"`).expect(t, 412, "")
	read := a.as(alice, "GET", path, "").expect(t, 200, `"2"`)
	if got := decode[httpapi.Envelope[note.Note]](t, read).Data.Notes; got != "Faster" {
		t.Errorf("read: %q", got)
	}
	a.as(alice, "DELETE", path, "", "If-Match", `"1"`).expect(t, 412, "")
	a.as(alice, "DELETE", path, "", "If-Match", `"2"`).expect(t, 204, "")
	a.as(alice, "DELETE", path, "").expect(t, 204, "")
	a.as(alice, "PUT", path, `{"notes":"Late"}`, "If-Match", `"2"`).expect(t, 412, "")
	a.as(alice, "GET", path, "").expect(t, 404, "")
	a.as(alice, "PUT", path, `{"notes":"Again"}`).expect(t, 200, `"1"`)
	a.as(alice, "DELETE", strings.TrimSuffix(path, "/notes"), "").expect(t, 204, "")
	a.as(alice, "PUT", path, `{"notes":"Too late"}`).expect(t, 404, "")
}

func TestNotesAreTheOwnersAlone(t *testing.T) {
	a := newAPI(t)
	for visibility, wants := range map[string]map[string]int{
		"private": {"bob": 404, "tess": 404, "root": 403, "": 401, "alice": 200},
		"public":  {"bob": 403, "tess": 403, "root": 403, "": 401, "alice": 200},
	} {
		path := a.create(alice, `{"title":"Hers","visibility":"`+visibility+`"}`) + "/notes"
		a.as(alice, "PUT", path, `{"notes":"hers"}`).expect(t, 200, `"1"`)
		for _, caller := range []auth.Identity{bob, {ID: "tess", Role: auth.RoleTeacher}, admin, {}} {
			for method, body := range map[string]string{"GET": "", "PUT": `{"notes":"mine"}`, "DELETE": ""} {
				if got := a.as(caller, method, path, body); got.status != wants[caller.ID] {
					t.Errorf("%s %s by %q: %d, want %d", visibility, method, caller.ID, got.status, wants[caller.ID])
				}
			}
		}
		a.as(alice, "GET", path, "").expect(t, wants["alice"], `"1"`)
	}
}

func TestC22NotesAreChecked(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Nocturne"}`) + "/notes"
	for name, tc := range map[string]struct{ body, code string }{
		"none":           {`{}`, "required"},
		"blank":          {`{"notes":"  "}`, "required"},
		"too long":       {`{"notes":"` + strings.Repeat("x", 20001) + `"}`, "max"},
		"a control code": {`{"notes":"a\u0000b"}`, "text"},
		"another type":   {`{"notes":1}`, "wrong_type"},
		"another field":  {`{"notes":"a","key":"b"}`, "unknown_field"},
	} {
		got := a.as(alice, "PUT", path, tc.body).expect(t, 400, "")
		if !strings.Contains(string(got.body), `"code":"`+tc.code+`"`) {
			t.Errorf("%s: %s, want %s", name, got.body, tc.code)
		}
	}
	a.as(alice, "PUT", path, `{"notes":"`+strings.Repeat("\U0001D11E", 20000)+`"}`).expect(t, 200, `"1"`)
}

// Whoever reads the whole database finds the notes nowhere.
func TestNotesAreNowhereInTheDatabase(t *testing.T) {
	const marker = "Xyzzyplugh" // stands nowhere else
	a := newAPI(t)
	path := a.create(alice, `{"title":"Nocturne","tags":["findable"]}`)
	for range 2 { // the second writes over the first
		a.as(alice, "PUT", path+"/notes", `{"notes":"`+marker+`"}`, httpapi.IdempotencyKeyHeader, "k1")
	}
	a.as(alice, "GET", path+"/notes", "")
	var tables []string
	for _, table := range a.strings(`select quote_ident(tablename) from pg_tables where schemaname = 'public'`) {
		tables = append(tables, fmt.Sprintf("select row::text from %s row", table))
	}
	found := false
	for _, row := range a.strings(strings.Join(tables, " union all ")) {
		found = found || strings.Contains(row, "findable")
		// A bytea is written in hexadecimal digits.
		if strings.Contains(row, marker) || strings.Contains(row, fmt.Sprintf("%x", marker)) {
			t.Errorf("found in the row %s", row)
		}
	}
	if !found {
		t.Error("the rows do not hold what is not encrypted either")
	}
}

func TestNotesThatWereTamperedWith(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  string // of the notes on $1, with those on $2 at hand
		status int
	}{
		"a changed ciphertext": {`update score_notes set ciphertext = set_byte(ciphertext, 20, get_byte(ciphertext, 20) # 1) where score_id = $1 and $2::uuid is not null`, 500},
		"swapped rows":         {`update score_notes n set ciphertext = o.ciphertext from score_notes o where n.score_id = $1 and o.score_id = $2`, 500},
		"another owner":        {`update scores set owner_id = 'bob' where id = $1 and $2::uuid is not null`, 500},
		"an unknown key":       {`update score_notes set key_id = 7, ciphertext = '\x0100000007'::bytea || substr(ciphertext, 6) where score_id = $1 and $2::uuid is not null`, 503},
		"nothing":              {`select $1::uuid, $2::uuid`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			path, other := a.create(alice, `{"title":"One"}`), a.create(alice, `{"title":"Two"}`)
			a.as(alice, "PUT", path+"/notes", `{"notes":"one"}`).expect(t, 200, `"1"`)
			a.as(alice, "PUT", other+"/notes", `{"notes":"two"}`).expect(t, 200, `"1"`)
			if _, err := a.db.Direct("test.spoil", tc.spoil).Exec(t.Context(), idOf(path), idOf(other)); err != nil {
				t.Fatal(err)
			}
			reader := alice
			if name == "another owner" {
				reader = bob
			}
			got := a.as(reader, "GET", path+"/notes", "")
			if got.status != tc.status || tc.status != 200 && strings.Contains(string(got.body), "two") {
				t.Errorf("%d %s, want %d", got.status, got.body, tc.status)
			}
			if tc.status != 200 && reader == alice { // what cannot be read can be replaced
				a.as(alice, "PUT", path+"/notes", `{"notes":"anew"}`).expect(t, 200, `"2"`)
			}
		})
	}
}

func TestNotesNeedAKeyset(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Nocturne"}`)
	none, err := encryption.NewKeys(secret.Source{}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	notes := note.New(store.NewNotes(a.db), a.library, none)
	_, got := notes.Get(t.Context(), alice, idOf(path))
	_, put := notes.Put(t.Context(), alice, idOf(path), 0, note.Fields{Notes: "x"})
	for name, err := range map[string]error{"read": got, "write": put, "remove": notes.Remove(t.Context(), alice, idOf(path), 0)} {
		if f := fault.Of(err); f == nil || f.Code != fault.Unavailable || f.Message != "Private notes are not set up here" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := notes.Get(t.Context(), bob, idOf(path)); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("by another: %v", err)
	}
	if _, err := note.Rotate(t.Context(), store.NewNotes(a.db), none, nil); !errors.Is(err, encryption.ErrNoKeys) {
		t.Errorf("rotating: %v", err)
	}
}

// strings returns the first column of what a statement finds.
func (a *api) strings(text string, args ...any) []string {
	a.t.Helper()
	var found []string
	err := a.db.Direct("test.strings", text).Query(a.t.Context(), func(rows *sql.Rows) error {
		var s string
		err := rows.Scan(&s)
		found = append(found, s)
		return err
	}, args...)
	if err != nil {
		a.t.Fatal(err)
	}
	return found
}
