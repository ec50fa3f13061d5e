// Package manifest compares what the operator wants an object to be with what it is, and writes the difference by
// server-side apply under one field owner.
//
// It owns the question "is a write needed" and the write itself. It does not know what the objects are for.
package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// FieldOwner is the name under which the operator owns fields.
const FieldOwner = client.FieldOwner("mirubato-operator")

// hashLength is how many hexadecimal digits of a SHA-256 stand for a content: 40 bits, few enough for a name, enough for
// the handful of contents that one environment ever sees.
const hashLength = 10

// Hash returns a short, stable name for a value's JSON form. It fails only for values that have none.
func Hash(value any) (string, error) {
	encoded, err := json.Marshal(value) // map keys are sorted
	if err != nil {
		return "", fmt.Errorf("encoding %T: %w", value, err)
	}
	return hashOf(encoded), nil
}

func hashOf(encoded []byte) string {
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])[:hashLength]
}

// Manifest is an object as the operator wants it: only the fields that the operator decides. Most are made to learn that nothing is to be
// done, so the fields stay encoded until somebody looks at them.
type Manifest struct {
	identity identity
	encoded  []byte
	hash     string
}

type identity struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
}

// named is what apply configurations tell of themselves without being decoded.
type named interface {
	GetAPIVersion() *string
	GetKind() *string
	GetNamespace() *string
	GetName() *string
}

func identityOf(from named) (out identity) {
	text := func(given *string) string {
		if given == nil {
			return ""
		}
		return *given
	}
	out.APIVersion, out.Kind = text(from.GetAPIVersion()), text(from.GetKind())
	out.Metadata.Namespace, out.Metadata.Name = text(from.GetNamespace()), text(from.GetName())
	return out
}

// New makes a manifest of an apply configuration and marks it with a hash of its fields. It fails only for what has no JSON form.
func New(configuration any) (Manifest, error) {
	encoded, err := json.Marshal(configuration)
	if err != nil {
		return Manifest{}, fmt.Errorf("encoding %T: %w", configuration, err)
	}
	out := Manifest{encoded: encoded, hash: hashOf(encoded)}
	if named, ok := configuration.(named); ok {
		out.identity = identityOf(named)
	} else if err := json.Unmarshal(encoded, &out.identity); err != nil {
		return Manifest{}, fmt.Errorf("%T is no object: %w", configuration, err)
	}
	return out, nil
}

// APIVersion of the object.
func (m Manifest) APIVersion() string { return m.identity.APIVersion }

// Kind of the object.
func (m Manifest) Kind() string { return m.identity.Kind }

// Name of the object.
func (m Manifest) Name() string { return m.identity.Metadata.Name }

// Namespace of the object.
func (m Manifest) Namespace() string { return m.identity.Metadata.Namespace }

// Hash of the fields, which the object is marked with when it is written.
func (m Manifest) Hash() string { return m.hash }

// WasWritten reports whether live was last written with these fields. Somebody else may have changed it since.
func (m Manifest) WasWritten(live client.Object) bool {
	return live.GetAnnotations()[v1alpha1.AnnotationApplied] == m.hash
}

// Object returns the fields with the mark. The caller may change them.
func (m Manifest) Object() *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: map[string]any{}}
	if err := utiljson.Unmarshal(m.encoded, &out.Object); err != nil {
		return out // of the zero Manifest: New has read everything else before
	}
	annotations := out.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationApplied] = m.hash
	out.SetAnnotations(annotations)
	return out
}

// Holds reports whether live already is what the manifest wants, so that no write is needed. live may be nil.
//
// Two things make a write necessary: a field that the manifest sets has another value, because somebody edited it or the
// manifest changed; or the manifest stopped setting a field, which only the hash of the last write can tell. Fields that
// the manifest does not set belong to defaults or to others and are not looked at.
func (m Manifest) Holds(live client.Object) (bool, error) {
	if live == nil || reflect.ValueOf(live).IsNil() {
		return false, nil
	}
	if !m.WasWritten(live) {
		return false, nil // the common case of a difference, without a look at every field
	}
	// Numbers and quantities have the same Go types on both sides.
	found, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, fmt.Errorf("converting %T: %w", live, err)
	}
	for key, wanted := range m.Object().Object {
		ofType := key == "apiVersion" || key == "kind" // objects read by type carry none of their own
		if !ofType && !contains(found[key], wanted) {
			return false, nil
		}
	}
	return true, nil
}

// contains reports whether every field of wanted has the same value in found. Lists must have the same length: an element
// too many is a difference.
func contains(found, wanted any) bool {
	switch wanted := wanted.(type) {
	case map[string]any:
		fields, _ := found.(map[string]any) // an empty struct may be left out by the encoder: nil holds nothing
		for key, value := range wanted {
			if !contains(fields[key], value) {
				return false
			}
		}
		return found == nil || fields != nil
	case []any:
		elements, _ := found.([]any)
		if len(elements) != len(wanted) {
			return false
		}
		for i := range wanted {
			if !contains(elements[i], wanted[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(found, wanted)
	}
}

// Apply writes the manifest, and returns the object as it was stored. Fields that others hold are taken over: what the operator sets is not
// up for negotiation.
func Apply(ctx context.Context, writer client.Writer, m Manifest) (*unstructured.Unstructured, error) {
	object := m.Object()
	if err := writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), FieldOwner, client.ForceOwnership); err != nil {
		return nil, fmt.Errorf("applying %s %s/%s: %w", m.Kind(), m.Namespace(), m.Name(), err)
	}
	return object, nil
}
