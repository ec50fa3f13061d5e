package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

// MinSecret is how many bytes a signing secret has at least: as many as the hash that it feeds (RFC 7518 section 3.2).
const MinSecret = 32

// reloadEvery is how long a rotated secret may go unnoticed.
const reloadEvery = 2 * time.Second

// maxReads is how often secrets are read that change while they are.
const maxReads = 3

// key is one signing secret with the id under which tokens name it.
type key struct {
	id     string
	secret []byte
}

func newKey(value string) (key, error) {
	if len(value) < MinSecret {
		return key{}, fmt.Errorf("the secret has %d bytes, but needs at least %d; make one with: openssl rand -base64 48",
			len(value), MinSecret)
	}
	// The id must not help to guess the secret, so it is a keyed hash of a constant.
	mac := hmac.New(sha256.New, []byte(value))
	mac.Write([]byte("kid"))
	return key{id: hex.EncodeToString(mac.Sum(nil)[:8]), secret: []byte(value)}, nil
}

// Keys are the secrets in force: the current one signs and verifies, the one before it only verifies. Secrets that
// come from files are read again every two seconds, so that a rotation needs no restart; a file that has become
// unreadable or too short leaves the last good secrets in force and is logged. Keys may be used by many goroutines.
type Keys struct {
	current, previous secret.Source
	logger            *slog.Logger
	now               func() time.Time

	loaded  atomic.Pointer[[]key]
	checked atomic.Int64
	reload  sync.Mutex
	broken  bool
}

// NewKeys reads the secrets. The previous source may be the zero Source, and a previous file that does not exist means
// that there is no previous secret. The clock is for tests; use time.Now.
func NewKeys(current, previous secret.Source, logger *slog.Logger, now func() time.Time) (*Keys, error) {
	k := &Keys{current: current, previous: previous, logger: logger, now: now}
	keys, err := k.read()
	if err != nil {
		return nil, err
	}
	k.loaded.Store(&keys)
	k.checked.Store(now().UnixNano())
	return k, nil
}

func (k *Keys) read() ([]key, error) {
	current, previous, err := k.values()
	if err != nil {
		return nil, err
	}
	first, err := newKey(current)
	if err != nil {
		return nil, err
	}
	if previous == "" {
		return []key{first}, nil
	}
	second, err := newKey(previous)
	if err != nil {
		return nil, fmt.Errorf("previous secret: %w", err)
	}
	return []key{first, second}, nil
}

// values reads both secrets as they are at one time. Whoever swaps them must not be seen half-way: one of the two would be
// missing, and tokens that are good would be refused.
func (k *Keys) values() (current, previous string, err error) {
	for range maxReads {
		if current, err = k.current.Read(); err != nil {
			return "", "", err
		}
		previous, err = k.previous.Read()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", "", fmt.Errorf("previous secret: %w", err)
		}
		again, err := k.current.Read()
		if err != nil {
			return "", "", err
		}
		if again == current {
			return current, previous, nil
		}
	}
	return "", "", errors.New("the secrets change while they are read")
}

// all returns the keys in force, the current one first, reading the sources again when it is time.
func (k *Keys) all() []key { return *k.inForce(k.now()) }

// inForce is like all; it is another pointer each time that the sources were read.
func (k *Keys) inForce(at time.Time) *[]key {
	now := at.UnixNano()
	if now-k.checked.Load() >= int64(reloadEvery) && k.reload.TryLock() {
		defer k.reload.Unlock()
		k.checked.Store(now)
		keys, err := k.read()
		if err == nil {
			k.loaded.Store(&keys)
		} else if !k.broken {
			k.logger.Error("Keeping the signing secrets", "error", err.Error())
		}
		k.broken = err != nil
	}
	return k.loaded.Load()
}
