package settings

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
)

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// privateKey is the key of the Secret that holds the signer's.
const privateKey = "key.pem"

// Signer signs what is sent to pods. It may be used by many goroutines.
type Signer struct {
	private ed25519.PrivateKey
	public  string
}

// OpenSigner returns the signer whose key is in a Secret, and makes the Secret if there is none: all replicas of the operator, now and
// later, sign by the same key. The reader has no cache, so that two replicas that start together agree.
func OpenSigner(ctx context.Context, reader client.Reader, writer client.Writer, at client.ObjectKey) (*Signer, error) {
	secret := &corev1.Secret{}
	err := reader.Get(ctx, at, secret)
	if apierrors.IsNotFound(err) {
		if secret, err = newSecret(at); err != nil {
			return nil, err
		}
		if err = writer.Create(ctx, secret); apierrors.IsAlreadyExists(err) {
			err = reader.Get(ctx, at, secret)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the key that settings are signed by: %w", err)
	}
	out, err := newSigner(secret.Data[privateKey])
	if err != nil {
		return nil, fmt.Errorf("%s of the Secret %s: %w; delete the Secret to have another one made", privateKey, at, err)
	}
	return out, nil
}

func newSecret(at client.ObjectKey) (*corev1.Secret, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name},
		Immutable:  new(true), // it is read once
		Data:       map[string][]byte{privateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
	}, nil
}

func newSigner(text []byte) (*Signer, error) {
	// The parser's error might quote what it read.
	key, err := jwt.ParseEdPrivateKeyFromPEM(text)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("it is no private key of Ed25519 in PEM")
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{private: private, public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}, nil
}

// PublicKey is what contract.SettingsKeyFile holds, empty for no signer.
func (s *Signer) PublicKey() string {
	if s == nil {
		return ""
	}
	return s.public
}

// claims are those of a contract.SettingsPush.
type claims struct {
	jwt.RegisteredClaims
	contract.SettingsPush
}

func (s *Signer) sign(sent contract.SettingsPush) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{SettingsPush: sent})
	token.Header["typ"] = contract.SettingsPushType
	return token.SignedString(s.private)
}
