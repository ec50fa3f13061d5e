package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxSize is how many bytes of settings are read; a ConfigMap holds no more.
const MaxSize = 1 << 20

// Decode reads settings from YAML or JSON and validates them. Nothing is guessed: a key that is not known, a key that is given
// twice and a value of another type are refused, with their path. The error joins one Problem for each thing that is wrong. No text
// at all are settings that leave everything at its default.
func Decode(text []byte) (Settings, error) {
	if len(text) > MaxSize {
		return Settings{}, fmt.Errorf("settings have %d bytes, more than %d", len(text), MaxSize)
	}
	tree, err := parse(text)
	if err != nil || tree == nil {
		return Settings{}, err
	}
	var p problems
	checkKeys(p.at(""), tree, reflect.TypeFor[Settings]())
	if len(p.found) > 0 {
		return Settings{}, joined(p.found)
	}
	plain, err := json.Marshal(tree)
	if err != nil {
		return Settings{}, fmt.Errorf("reading settings: %w", err)
	}
	var s Settings
	if err := json.Unmarshal(plain, &s); err != nil {
		return Settings{}, fmt.Errorf("reading settings: %w", explained(err))
	}
	if found := s.Validate(); len(found) > 0 {
		return Settings{}, joined(found)
	}
	return s, nil
}

// parse reads exactly one document; JSON is YAML too.
func parse(text []byte) (any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var tree, more any
	if err := decoder.Decode(&tree); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading settings: there must be one document, without a line --- inside")
	}
	return tree, nil
}

// checkKeys notes where the tree has a key that the type does not know, or something else than an object or a list where the type
// wants one, and where a text is no duration. Whether other plain values fit is left to the decoder.
func checkKeys(p place, tree any, want reflect.Type) {
	for want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	if tree == nil {
		return
	}
	switch {
	case want == reflect.TypeFor[Duration]():
		if text, ok := tree.(string); ok {
			var d Duration
			p.demand(d.UnmarshalText([]byte(text)) == nil, "must be a duration such as 500ms, 30s or 1h30m, not %.40q", text)
		}
	case want.Kind() == reflect.Struct:
		object, ok := tree.(map[string]any)
		p.demand(ok, "must be an object")
		known := fieldsOf(want)
		for _, key := range slices.Sorted(maps.Keys(object)) {
			at := p.key(key)
			field, ok := known[key]
			at.demand(ok, "is not known; known here are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			if ok {
				checkKeys(at, object[key], field)
			}
		}
	case want.Kind() == reflect.Slice:
		list, ok := tree.([]any)
		p.demand(ok, "must be a list")
		for i, item := range list {
			p.item(i).demand(item != nil, "must not be empty")
			checkKeys(p.item(i), item, want.Elem())
		}
	}
}

// fieldsOf are the JSON names of a struct's fields and their types, those of embedded structs included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[name] = f.Type
		}
	}
	return fields
}

// key is the place of a key that the file gives, which may be anything.
func (p place) key(name string) place {
	if len(name) > 64 {
		name = name[:64]
	}
	if p.path == "" {
		return p.all.at(name)
	}
	return p.field(name)
}

// explained says of a value of another type where it stands.
func explained(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Problem{Field: wrong.Field, Message: fmt.Sprintf("must be %s, not a %s", kindOf(wrong.Type), wrong.Value)}
	}
	return err
}

func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Duration]():
		return "a duration such as 30s"
	case t.Kind() == reflect.String:
		return "a text"
	}
	return "a whole number"
}

func joined(found []Problem) error {
	all := make([]error, len(found))
	for i, p := range found {
		all[i] = p
	}
	return errors.Join(all...)
}
