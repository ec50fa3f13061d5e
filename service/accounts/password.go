package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// The cost of a password: memory in KiB, passes over it, and threads. A hash takes some tens of milliseconds.
const (
	memory  = 19 << 10
	passes  = 2
	threads = 1
	saltLen = 16
	keyLen  = 32
)

// hashesAtOnce bounds the memory and the processors that logins can take, whatever their number.
const hashesAtOnce = 2

// hashPatience is how long a login waits for its turn before the client is told to come back.
const hashPatience = 2 * time.Second

// form is how a hash is written: the PHC string format, with the cost that it was made with.
const form = "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s"

// hasher hashes passwords, a few at a time.
type hasher struct {
	turns chan struct{}
	// nobody is compared where there is no user, so that an answer takes as long as for a wrong password.
	nobody string
}

func newHasher() *hasher {
	return &hasher{
		turns:  make(chan struct{}, hashesAtOnce),
		nobody: write(make([]byte, saltLen), make([]byte, keyLen)),
	}
}

func write(salt, key []byte) string {
	encoding := base64.RawStdEncoding
	return fmt.Sprintf(form, argon2.Version, memory, passes, threads, encoding.EncodeToString(salt), encoding.EncodeToString(key))
}

// turn waits until a hash may be computed; the caller gives the turn back. Its fault is Unavailable.
func (h *hasher) turn(ctx context.Context) (giveBack func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, hashPatience)
	defer cancel()
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, "Too many logins at once", ctx.Err())
	}
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	giveBack, err := h.turn(ctx)
	if err != nil {
		return "", err
	}
	defer giveBack()
	salt := make([]byte, saltLen)
	// crypto/rand never returns an error; it ends the program when the system has no randomness.
	_, _ = rand.Read(salt)
	return write(salt, argon2.IDKey([]byte(password), salt, passes, memory, threads, keyLen)), nil
}

// matches reports whether the password is the one that was hashed.
func (h *hasher) matches(ctx context.Context, hash, password string) (bool, error) {
	giveBack, err := h.turn(ctx)
	if err != nil {
		return false, err
	}
	defer giveBack()
	kept, err := read(hash)
	if err != nil {
		return false, fmt.Errorf("comparing password: %w", err)
	}
	got := argon2.IDKey([]byte(password), kept.salt, kept.passes, kept.memory, kept.threads, keyLen)
	return subtle.ConstantTimeCompare(got, kept.key) == 1, nil
}

// written is a hash that was read, with the cost that it was made with.
type written struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

func read(hash string) (written, error) {
	var w written
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return written{}, errors.New("the hash has another form")
	}
	var version int
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &w.memory, &w.passes, &w.threads); err != nil {
		return written{}, fmt.Errorf("reading the hash's cost: %w", err)
	}
	const maxMemory, maxPasses = 1 << 20, 16
	if version != argon2.Version || w.memory > maxMemory || w.passes < 1 || w.passes > maxPasses || w.threads < 1 {
		return written{}, errors.New("the hash has an unknown cost")
	}
	var saltErr, keyErr error
	w.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	w.key, keyErr = base64.RawStdEncoding.DecodeString(parts[5])
	if err := errors.Join(saltErr, keyErr); err != nil || len(w.key) != keyLen {
		return written{}, errors.New("the hash is damaged")
	}
	return w, nil
}
