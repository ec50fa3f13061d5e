package settings

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mirubato/mirubato/api/contract"
)

// push is a generation that was sent, and how new it is.
type push struct {
	generation
	sequence int64
}

// What is the matter with a push that is not taken.
var (
	// ErrNotSigned: it is no token by the key in the directory.
	ErrNotSigned = errors.New("it is not signed by the key of the settings")
	// ErrOutdated: it was made for another process, was taken before, or something newer was.
	ErrOutdated = errors.New("it is not for the present nonce, or there is something newer")
	// ErrIncomplete: it lacks what must be in it.
	ErrIncomplete = errors.New("it must have generation and sequence, from 1 on, and settings, {} for those that are all at their defaults")
)

// Nonce is what the next push must have, empty where none can be verified or told from the files by its age.
func (l *Live) Nonce() string {
	if l.cfg.Dir == "" {
		return ""
	}
	if _, ordered := sequence(l.cfg.GenerationFile); !ordered {
		return ""
	}
	if _, err := l.key(); err != nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nonce
}

// key is read each time: it may be replaced.
func (l *Live) key() (ed25519.PublicKey, error) {
	text, err := readFile(filepath.Join(l.cfg.Dir, contract.SettingsKeyFile))
	if err != nil {
		return nil, err
	}
	parsed, err := jwt.ParseEdPublicKeyFromPEM(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", contract.SettingsKeyFile, err)
	}
	key, _ := parsed.(ed25519.PublicKey) // or there was an error
	return key, nil
}

// claims are those of a contract.SettingsPush.
type claims struct {
	jwt.RegisteredClaims
	contract.SettingsPush
}

// Push takes the settings of a token, which are in force until the files are as new. What cannot be used is refused as if it were in a
// file: State tells. The error is ErrNotSigned, ErrIncomplete or ErrOutdated; nothing has changed then.
func (l *Live) Push(token string) error {
	if l.cfg.Dir == "" {
		return ErrNotSigned
	}
	var sent claims
	parsed, err := jwt.ParseWithClaims(token, &sent, func(*jwt.Token) (any, error) { return l.key() }, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	if parsed.Header["typ"] != contract.SettingsPushType {
		return fmt.Errorf("%w: its type is not %s", ErrNotSigned, contract.SettingsPushType)
	}
	if sent.Generation < 1 || sent.Sequence < 1 || strings.TrimSpace(sent.Settings) == "" {
		return ErrIncomplete
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if sent.Nonce != l.nonce || l.pushed != nil && sent.Sequence < l.pushed.sequence {
		return ErrOutdated
	}
	l.nonce = rand.Text()
	l.pushed = &push{generation: generation{number: sent.Generation, text: []byte(sent.Settings)}, sequence: sent.Sequence}
	l.apply()
	return nil
}

// latest is what was sent, until the files are as new: the kubelet may take a minute to write them, and may write in between what was
// wanted before.
func (l *Live) latest() (generation, error) {
	// Read before the generation, the sequence is never newer than it.
	number, _ := sequence(l.cfg.GenerationFile)
	found, err := read(l.cfg.Dir, l.cfg.GenerationFile)
	if l.pushed == nil {
		return found, err
	}
	if l.pushed.sequence > number || err != nil && found.number == l.pushed.number {
		return l.pushed.generation, nil
	}
	l.pushed = nil
	return found, err
}
