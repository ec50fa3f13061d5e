package encryption_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

// made returns what a function that makes a keyset returns.
func made(t *testing.T) func(text string, err error) string {
	t.Helper()
	return func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func keysFrom(t *testing.T, text string) *encryption.Keys {
	t.Helper()
	keys, err := encryption.NewKeys(secret.FromValue(text), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestValuesOpenOnlyAsAndWhereTheyWereSealed(t *testing.T) {
	text := made(t)(encryption.NewKeyset())
	keys, others := keysFrom(t, text), keysFrom(t, made(t)(encryption.NewKeyset()))
	sealed, err := keys.Seal([]byte("a secret"), []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.Seal([]byte("a secret"), []byte("here"))
	if err != nil || bytes.Equal(sealed.Ciphertext, again.Ciphertext) || bytes.Contains(sealed.Ciphertext, []byte("secret")) {
		t.Fatalf("sealed as %x and %x, %v", sealed.Ciphertext, again.Ciphertext, err)
	}
	if got, err := keys.Open(sealed, []byte("here")); err != nil || string(got) != "a secret" {
		t.Errorf("opened as %q, %v", got, err)
	}
	for i := range sealed.Ciphertext {
		spoilt := encryption.Sealed{KeyID: sealed.KeyID, Ciphertext: bytes.Clone(sealed.Ciphertext)}
		spoilt.Ciphertext[i] ^= 1
		if got, err := keys.Open(spoilt, []byte("here")); !errors.Is(err, encryption.ErrTampered) {
			t.Errorf("with byte %d changed: %q, %v", i, got, err)
		}
	}
	for name, tc := range map[string]struct {
		keys   *encryption.Keys
		sealed encryption.Sealed
		place  string
		want   error
	}{
		"another place":     {keys, sealed, "there", encryption.ErrTampered},
		"no place":          {keys, sealed, "", encryption.ErrTampered},
		"cut off":           {keys, encryption.Sealed{KeyID: sealed.KeyID, Ciphertext: sealed.Ciphertext[:20]}, "here", encryption.ErrTampered},
		"nothing":           {keys, encryption.Sealed{KeyID: sealed.KeyID}, "here", encryption.ErrTampered},
		"another key's ID":  {keys, encryption.Sealed{KeyID: sealed.KeyID + 1, Ciphertext: sealed.Ciphertext}, "here", encryption.ErrTampered},
		"another keyset":    {others, sealed, "here", encryption.ErrUnknownKey},
		"no keyset at all":  {new(encryption.Keys), sealed, "here", encryption.ErrNoKeys},
		"the right of both": {keys, again, "here", nil},
	} {
		if _, err := tc.keys.Open(tc.sealed, []byte(tc.place)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := new(encryption.Keys).Seal(nil, nil); !errors.Is(err, encryption.ErrNoKeys) {
		t.Errorf("sealing without a keyset: %v", err)
	}
}

func TestKeysetIsRotatedInSteps(t *testing.T) {
	first := made(t)(encryption.NewKeyset())
	both, added, err := encryption.AddKey(first)
	if err != nil {
		t.Fatal(err)
	}
	was, err := keysFrom(t, first).Primary()
	if err != nil {
		t.Fatal(err)
	}
	promoted := made(t)(encryption.PromoteKey(both, added))
	dropped := made(t)(encryption.DropKey(promoted, was))
	for text, want := range map[string][]encryption.Key{
		first:    {{ID: was, Primary: true}},
		both:     {{ID: was, Primary: true}, {ID: added}},
		promoted: {{ID: was}, {ID: added, Primary: true}},
		dropped:  {{ID: added, Primary: true}},
	} {
		got, err := encryption.KeysOf(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v, keys (-want +got):\n%s", err, diff)
		}
	}
	old, err := keysFrom(t, both).Seal([]byte("x"), nil)
	if err != nil || old.KeyID != was {
		t.Fatalf("a key that was only added encrypts: %d, %v", old.KeyID, err)
	}
	if _, err := keysFrom(t, promoted).Open(old, nil); err != nil {
		t.Errorf("the key of before no longer decrypts: %v", err)
	}
	for name, err := range map[string]error{
		"dropping the key that encrypts": second(encryption.DropKey(promoted, added)),
		"dropping a key that is not":     second(encryption.DropKey(first, added)),
		"promoting a key that is not":    second(encryption.PromoteKey(first, added)),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func second(_ string, err error) error { return err }

func TestKeysetIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := made(t)(encryption.NewKeyset())
	both, added, err := encryption.AddKey(first)
	if err != nil {
		t.Fatal(err)
	}
	write(first)
	now := time.Unix(1000, 0)
	var log bytes.Buffer
	keys, err := encryption.NewKeys(secret.FromFile(path), slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	primary := func() uint32 {
		id, err := keys.Primary()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	was := primary()
	write(made(t)(encryption.PromoteKey(both, added)))
	if now = now.Add(time.Second); primary() != was {
		t.Error("the file is read at each use")
	}
	if now = now.Add(time.Second); primary() != added {
		t.Error("the new file is not seen")
	}
	for _, broken := range []string{"", "{}", "hunter2"} {
		write(broken)
		if now = now.Add(time.Minute); primary() != added {
			t.Errorf("the keyset was lost to %q", broken)
		}
	}
	if got := strings.Count(log.String(), "Keeping the keyset"); got != 1 || strings.Contains(log.String(), "hunter2") {
		t.Errorf("logged %d times, want once and without the content: %s", got, log.String())
	}
}

func TestKeysetsThatAreNone(t *testing.T) {
	for name, source := range map[string]secret.Source{
		"a file that is absent": secret.FromFile(filepath.Join(t.TempDir(), "absent")),
		"another text":          secret.FromValue("hunter2"),
		"an empty object":       secret.FromValue("{}"),
	} {
		keys, err := encryption.NewKeys(source, slog.New(slog.DiscardHandler), time.Now)
		if err == nil || keys != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
