// Package change tells what differs between two specs, field by field, and what a change of each field costs. It is pure.
//
// It owns the table of costs; what really happens is the operator's to decide.
package change

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Change is one field that differs.
type Change struct {
	// Path of the field, such as environments[production].rollout.soak.
	Path string `json:"path"`
	// From and To are the values; nil where the field is not set.
	From any `json:"from,omitempty"`
	To   any `json:"to,omitempty"`
}

// Between returns the fields in which two values differ by their JSON, sorted by path, without those below the fields in ignored.
// Members of a list that have names are compared by them, as the API server merges them; other lists are taken whole.
func Between(from, to any, ignored ...string) ([]Change, error) {
	a, err := generic(from)
	if err != nil {
		return nil, err
	}
	b, err := generic(to)
	if err != nil {
		return nil, err
	}
	for _, field := range ignored {
		delete(a, field)
		delete(b, field)
	}
	var changes []Change
	compare("", a, b, &changes)
	return changes, nil
}

// Content returns the fields in which two releases differ by what runs, and not by where they came from.
func Content(from, to *v1alpha1.Release) ([]Change, error) {
	return Between(from.Spec, to.Spec, "number", "contentHash", "author", "microservice", "reference", "version")
}

func generic(value any) (map[string]any, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(encoded, &out); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	return out, nil
}

func compare(path string, a, b any, changes *[]Change) {
	if reflect.DeepEqual(a, b) {
		return
	}
	before, after := members(a), members(b)
	if isWhole(path, a, b) || before == nil && a != nil || after == nil && b != nil {
		*changes = append(*changes, Change{Path: path, From: a, To: b})
		return
	}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	if len(keys) == 0 { // what says something by being there, without a field of its own
		*changes = append(*changes, Change{Path: path, From: a, To: b})
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		compare(join(path, key), before[key], after[key], changes)
	}
}

// isWhole reports whether a value is told as one, although it has fields: a member of a list that comes or goes.
func isWhole(path string, a, b any) bool {
	return strings.HasSuffix(path, "]") && (a == nil || b == nil)
}

func join(path, key string) string {
	if path == "" || strings.HasPrefix(key, "[") {
		return path + key
	}
	return path + "." + key
}

// members are the fields of an object, or the members of a list by their names; nil for everything else.
func members(value any) map[string]any {
	switch v := value.(type) {
	case map[string]any:
		return v
	case []any:
		named := map[string]any{}
		for _, member := range v {
			object, ok := member.(map[string]any)
			if !ok {
				return nil
			}
			name, ok := object["name"].(string)
			if !ok {
				name, ok = object["environment"].(string)
			}
			if !ok {
				return nil
			}
			named["["+name+"]"] = object
		}
		if len(named) == len(v) && len(v) > 0 {
			return named
		}
	}
	return nil
}
