package encryption

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// Key is what may be shown of a key.
type Key struct {
	ID uint32
	// Primary says that it is the key that encrypts; the others only decrypt.
	Primary bool
}

// NewKeyset returns the text of a keyset with one key, for AES-256 in Galois/Counter Mode.
func NewKeyset() (string, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", fmt.Errorf("making a keyset: %w", err)
	}
	return write(handle)
}

// AddKey returns the keyset with a further key, which decrypts and does not encrypt yet: first every process must have it.
func AddKey(text string) (changed string, id uint32, err error) {
	changed, err = change(text, func(m *keyset.Manager) (err error) {
		id, err = m.Add(aead.AES256GCMKeyTemplate())
		return err
	})
	return changed, id, err
}

// PromoteKey returns the keyset with this key as the one that encrypts.
func PromoteKey(text string, id uint32) (string, error) {
	return change(text, func(m *keyset.Manager) error { return m.SetPrimary(id) })
}

// DropKey returns the keyset without a key, which is not the one that encrypts. What is encrypted by it can no longer be read.
func DropKey(text string, id uint32) (string, error) {
	return change(text, func(m *keyset.Manager) error { return m.Delete(id) })
}

// KeysOf lists the keys of a keyset.
func KeysOf(text string) ([]Key, error) {
	handle, err := read(text)
	if err != nil {
		return nil, err
	}
	return keysOf(handle), nil
}

func keysOf(handle *keyset.Handle) []Key {
	info := handle.KeysetInfo()
	keys := make([]Key, 0, len(info.GetKeyInfo()))
	for _, k := range info.GetKeyInfo() {
		keys = append(keys, Key{ID: k.GetKeyId(), Primary: k.GetKeyId() == info.GetPrimaryKeyId()})
	}
	return keys
}

func change(text string, act func(*keyset.Manager) error) (string, error) {
	handle, err := read(text)
	if err != nil {
		return "", err
	}
	manager := keyset.NewManagerFromHandle(handle)
	if err := act(manager); err != nil {
		return "", fmt.Errorf("changing the keyset: %w", err)
	}
	if handle, err = manager.Handle(); err != nil {
		return "", fmt.Errorf("changing the keyset: %w", err)
	}
	return write(handle)
}

// read understands a keyset. Its errors hold nothing of the text, which is a secret.
func read(text string) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text)))
	if err != nil {
		return nil, errors.New("this is no keyset in the JSON form of Tink")
	}
	for _, k := range handle.KeysetInfo().GetKeyInfo() {
		// Without its prefix a ciphertext does not say by which key it was made.
		if k.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK {
			return nil, fmt.Errorf("the key %d of the keyset is not of the type TINK", k.GetKeyId())
		}
	}
	if _, err := aead.New(handle); err != nil {
		return nil, errors.New("the keyset holds keys that are not for authenticated encryption")
	}
	return handle, nil
}

func write(handle *keyset.Handle) (string, error) {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return "", fmt.Errorf("writing the keyset: %w", err)
	}
	return text.String(), nil
}
