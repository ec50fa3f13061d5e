package encryption

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

// What can be wrong with keys and values.
var (
	// ErrNoKeys: there is no keyset, so nothing can be encrypted or decrypted.
	ErrNoKeys = errors.New("no keyset is given")
	// ErrUnknownKey: the keyset lacks the key of a value. During a rotation a process may not have the newest file yet.
	ErrUnknownKey = errors.New("the keyset lacks the key")
	// ErrTampered: the value was changed, or belongs to something else than what it stands at.
	ErrTampered = errors.New("the value is not what was encrypted for this place")
)

// Sealed is a value that was encrypted.
type Sealed struct {
	// KeyID names the key that decrypts it.
	KeyID      uint32
	Ciphertext []byte
}

// reloadEvery is how long a changed keyset may go unnoticed.
const reloadEvery = 2 * time.Second

// prefixLen is the length of what precedes a ciphertext: a version byte and the ID of the key
// (https://developers.google.com/tink/wire-format).
const prefixLen = 5

// loaded is a keyset ready for use.
type loaded struct {
	primary uint32
	known   map[uint32]bool
	cipher  tink.AEAD
}

// Keys encrypt and decrypt with a keyset that is read again every two seconds while it is used, so that a rotation needs no
// restart; a file that became unreadable leaves the last good keyset in force and is logged. Keys may be used by many
// goroutines.
type Keys struct {
	source secret.Source
	logger *slog.Logger
	now    func() time.Time

	loaded  atomic.Pointer[loaded]
	checked atomic.Int64
	reload  sync.Mutex
	broken  bool
}

// NewKeys reads the keyset. With the zero Source there is none, and every use answers ErrNoKeys. The clock is for tests; use
// time.Now.
func NewKeys(source secret.Source, logger *slog.Logger, now func() time.Time) (*Keys, error) {
	k := &Keys{source: source, logger: logger, now: now}
	if !source.Given() {
		return k, nil
	}
	l, err := k.load()
	if err != nil {
		return nil, err
	}
	k.loaded.Store(l)
	k.checked.Store(now().UnixNano())
	return k, nil
}

// Given reports whether there is a keyset.
func (k *Keys) Given() bool { return k.source.Given() }

// Primary returns the ID of the key that encrypts. Its error is ErrNoKeys.
func (k *Keys) Primary() (uint32, error) {
	l, err := k.current()
	if err != nil {
		return 0, err
	}
	return l.primary, nil
}

// Seal encrypts a value for one place, which the associated data names. Errors: ErrNoKeys.
func (k *Keys) Seal(plaintext, associated []byte) (Sealed, error) {
	l, err := k.current()
	if err != nil {
		return Sealed{}, err
	}
	ciphertext, err := l.cipher.Encrypt(plaintext, associated)
	if err != nil {
		return Sealed{}, fmt.Errorf("encrypting: %w", err)
	}
	return Sealed{KeyID: l.primary, Ciphertext: ciphertext}, nil
}

// Open decrypts a value that was encrypted with the same associated data. Errors: ErrNoKeys, ErrUnknownKey, ErrTampered.
func (k *Keys) Open(s Sealed, associated []byte) ([]byte, error) {
	l, err := k.current()
	if err != nil {
		return nil, err
	}
	if len(s.Ciphertext) < prefixLen || binary.BigEndian.Uint32(s.Ciphertext[1:prefixLen]) != s.KeyID {
		return nil, ErrTampered
	}
	if !l.known[s.KeyID] {
		return nil, fmt.Errorf("%w %d", ErrUnknownKey, s.KeyID)
	}
	plaintext, err := l.cipher.Decrypt(s.Ciphertext, associated)
	if err != nil {
		return nil, ErrTampered
	}
	return plaintext, nil
}

// current returns the keyset in force, reading the source again when it is time.
func (k *Keys) current() (*loaded, error) {
	if !k.source.Given() {
		return nil, ErrNoKeys
	}
	now := k.now().UnixNano()
	if now-k.checked.Load() >= int64(reloadEvery) && k.reload.TryLock() {
		defer k.reload.Unlock()
		k.checked.Store(now)
		l, err := k.load()
		if err == nil {
			k.loaded.Store(l)
		} else if !k.broken {
			k.logger.Error("Keeping the keyset", "error", err.Error())
		}
		k.broken = err != nil
	}
	return k.loaded.Load(), nil
}

func (k *Keys) load() (*loaded, error) {
	text, err := k.source.Read()
	if err != nil {
		return nil, err
	}
	handle, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.source, err)
	}
	cipher, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.source, err)
	}
	l := &loaded{cipher: cipher, known: map[uint32]bool{}}
	for _, key := range keysOf(handle) {
		l.known[key.ID] = true
		if key.Primary {
			l.primary = key.ID
		}
	}
	return l, nil
}
