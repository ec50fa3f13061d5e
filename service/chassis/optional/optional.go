// Package optional tells a JSON field that was left out from one that was given as null, which a pointer cannot. It
// serves partial updates: absent means "keep", null means "clear".
package optional

import (
	"bytes"
	"encoding/json"
)

// Value is a field of a partial update. The zero value is a field that was left out.
type Value[T any] struct {
	// V is the value given; the zero value of T when Set is false or Null is true.
	V T
	// Set says that the field was given, be it as null.
	Set bool
	// Null says that the field was given as null.
	Null bool
}

// Of returns a field that holds v.
func Of[T any](v T) Value[T] { return Value[T]{V: v, Set: true} }

// Null returns a field given as null.
func Null[T any]() Value[T] { return Value[T]{Set: true, Null: true} }

// IsZero reports whether the field was left out; with the JSON option omitzero such a field is not written.
func (v Value[T]) IsZero() bool { return !v.Set }

// Element returns the zero value of T, so that whoever describes a type can describe the one that is meant.
func (v Value[T]) Element() any {
	var zero T
	return zero
}

// UnmarshalJSON implements json.Unmarshaler. It is called only for fields that are present.
func (v *Value[T]) UnmarshalJSON(data []byte) error {
	*v = Value[T]{Set: true}
	if bytes.Equal(data, []byte("null")) {
		v.Null = true
		return nil
	}
	return json.Unmarshal(data, &v.V)
}

// MarshalJSON implements json.Marshaler.
func (v Value[T]) MarshalJSON() ([]byte, error) {
	if !v.Set || v.Null {
		return []byte("null"), nil
	}
	return json.Marshal(v.V)
}

// Apply sets dst to the value when the field was given, and to the zero value of T when it was given as null.
func (v Value[T]) Apply(dst *T) {
	if v.Set {
		*dst = v.V
	}
}

// ApplyPtr is Apply for a destination that is nil when it has no value.
func (v Value[T]) ApplyPtr(dst **T) {
	switch {
	case !v.Set:
	case v.Null:
		*dst = nil
	default:
		value := v.V
		*dst = &value
	}
}
