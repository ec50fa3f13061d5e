package auth

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Sign returns a signature of the message by the current secret. The purpose keeps it from being taken for one of another kind, or
// for a token's.
func (k *Keys) Sign(purpose string, message []byte) []byte {
	return k.all()[0].sign(purpose, message)
}

// Signed reports whether the signature is one of the message for the purpose, by one of the secrets in force.
func (k *Keys) Signed(purpose string, message, signature []byte) bool {
	for _, key := range k.all() {
		if hmac.Equal(key.sign(purpose, message), signature) {
			return true
		}
	}
	return false
}

// sign uses a key derived for the purpose, so that nothing that is signed can be a token.
func (k key) sign(purpose string, message []byte) []byte {
	derive := hmac.New(sha256.New, k.secret)
	derive.Write([]byte("purpose " + purpose))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	mac.Write(message)
	return mac.Sum(nil)
}
