package cached_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/collection"
	"github.com/mirubato/mirubato/service/scores/favorite"
)

// fill gives every field of v a value that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)))
	case v.Type() == reflect.TypeFor[json.RawMessage](), v.Type() == reflect.TypeFor[scores.KeptAnalysis]():
		v.SetBytes([]byte(`{"a":1}`))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(t, v.Index(i))
		}
	case v.Kind() == reflect.String:
		v.SetString("é <&>")
	case v.CanInt():
		v.SetInt(7)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("a field of type %s is new; say here how to fill it, and see that it goes through JSON", v.Type())
	}
}

// What is kept goes through JSON. A field that did not would be lost in every answer from a cache.
func TestC52WhatIsKeptComesBackWhole(t *testing.T) {
	for _, value := range []any{new(scores.Score), new(scores.Card), new(category.Category), new(collection.Collection)} {
		fill(t, reflect.ValueOf(value).Elem())
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(value).Elem()).Interface()
		if err := json.Unmarshal(text, back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(value, back); diff != "" {
			t.Errorf("%T (-kept +read):\n%s", value, diff)
		}
	}
}

// Every method of a repository either changes nothing, or says here that the caches hear of it. A change that they do not hear of would be
// shown late on the pod that made it.
func TestEveryMethodIsThoughtOf(t *testing.T) {
	for of, methods := range map[reflect.Type]struct{ reads, changes string }{
		reflect.TypeFor[scores.Repository]():     {"Find List Walk Search Popular AddReads", "Insert Replace Remove ReplaceMany RemoveMany"},
		reflect.TypeFor[category.Repository]():   {"All Of", "Insert Replace Remove Assign"},
		reflect.TypeFor[favorite.Repository]():   {"List Among", "Insert Remove"},
		reflect.TypeFor[collection.Repository](): {"List Featured Find Members Shares", "Insert Replace Remove Feature AddMember RemoveMember ChangeMembers Share Unshare"},
	} {
		for i := range of.NumMethod() {
			name := of.Method(i).Name
			if !slices.Contains(strings.Fields(methods.reads+" "+methods.changes), name) {
				t.Errorf("%s.%s is new: have package cached hear of it if it changes something, and say so here", of, name)
			}
		}
	}
}
