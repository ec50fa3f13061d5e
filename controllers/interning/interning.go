// Package interning keeps one copy of texts that many cached objects have in common. Objects that are rendered from the same few templates differ
// in little, but each text of each of them is decoded into memory of its own, which is a good part of what a cache of them takes. The package owns
// the texts; what an object is, and what of it is worth keeping, it does not know.
package interning

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// longest is the length, in bytes, of texts that are looked for in other objects.
	longest = 64
	// most is how many texts are known at the same time: those of some thousand objects. When there are more, all are forgotten, which costs
	// no more than a second copy of each.
	most = 1 << 15
	// mostMaps is the same for maps of texts, and widest how many texts a map has that is looked for in others.
	mostMaps = 1 << 13
	widest   = 16
)

// Table knows texts. The zero value knows none. It may be used by several goroutines.
type Table struct {
	mu    sync.Mutex
	known map[string]string
	// maps are known by what they hold, text stands for the one that is looked for and keys for its keys.
	maps map[string]map[string]string
	text []byte
	keys []string
	// fields are those of a type in which texts may be: asking a type for them takes longer than looking at them.
	fields map[reflect.Type][]int
}

// Share has an object, which is a pointer to a struct, use the table's copy of each of its texts, and of maps of them such as labels. It must not be
// used by anybody else meanwhile, and nobody may change a map of it afterwards, as nobody may change anything of a cached object.
// Fields that are not exported, bytes, and what is different in each object, such as its name, are left as they are.
func (t *Table) Share(object any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) > most || t.known == nil {
		t.known = map[string]string{}
	}
	if len(t.maps) > mostMaps || t.maps == nil {
		t.maps = map[string]map[string]string{}
	}
	t.share(reflect.ValueOf(object))
}

func (t *Table) share(value reflect.Value) {
	switch value.Kind() { //nolint:exhaustive // the others hold no texts
	case reflect.Pointer:
		if !value.IsNil() {
			t.share(value.Elem())
		}
	case reflect.Struct:
		for _, i := range t.fieldsOf(value.Type()) {
			t.share(value.Field(i))
		}
	case reflect.Slice:
		for i := range value.Len() {
			t.share(value.Index(i))
		}
	case reflect.Map:
		t.shareMap(value)
	case reflect.String:
		if value.CanSet() {
			value.SetString(t.one(value.String()))
		}
	}
}

func (t *Table) fieldsOf(of reflect.Type) []int {
	known, ok := t.fields[of]
	if ok {
		return known
	}
	for i := range of.NumField() {
		if field := of.Field(i); field.IsExported() && !isOwn(of, field.Name) && mayHold(field.Type) {
			known = append(known, i)
		}
	}
	if t.fields == nil {
		t.fields = map[reflect.Type][]int{}
	}
	t.fields[of] = known
	return known
}

// mayHold reports whether there may be texts in a value of a type.
func mayHold(of reflect.Type) bool {
	switch of.Kind() { //nolint:exhaustive // the others hold no texts
	case reflect.Pointer, reflect.Slice:
		return mayHold(of.Elem())
	case reflect.Map:
		return of == reflect.TypeFor[map[string]string]()
	case reflect.String, reflect.Struct:
		return true
	}
	return false
}

var meta = reflect.TypeFor[metav1.ObjectMeta]()

// isOwn reports whether no other object has the same in a field.
func isOwn(of reflect.Type, field string) bool {
	return of == meta && (field == "Name" || field == "UID" || field == "ResourceVersion")
}

// shareMap replaces a map of texts by the table's copy, or by one with the table's copies of its texts.
func (t *Table) shareMap(value reflect.Value) {
	texts, ok := value.Interface().(map[string]string)
	if !ok || !value.CanSet() || len(texts) == 0 {
		return
	}
	small := t.describe(texts)
	if known, ok := t.maps[string(t.text)]; ok && small {
		value.Set(reflect.ValueOf(known))
		return
	}
	out := make(map[string]string, len(texts))
	for k, v := range texts {
		out[t.one(k)] = t.one(v)
	}
	value.Set(reflect.ValueOf(out))
	if small {
		t.maps[string(t.text)] = out
	}
}

// describe sets text to what no other map has, and reports whether the map is one that others may equal: one of few and short texts.
func (t *Table) describe(texts map[string]string) bool {
	t.text, t.keys = t.text[:0], t.keys[:0]
	if len(texts) > widest {
		return false
	}
	for k, v := range texts {
		if len(k) > longest || len(v) > longest {
			return false
		}
		t.keys = append(t.keys, k)
	}
	slices.Sort(t.keys)
	for _, k := range t.keys {
		// A length before each, as two texts could be cut in another way.
		for _, text := range [...]string{k, texts[k]} {
			t.text = append(append(t.text, byte(len(text))), text...) //nolint:gosec // a byte is enough: they are at most as long as longest
		}
	}
	return true
}

func (t *Table) one(text string) string {
	if text == "" || len(text) > longest {
		return text
	}
	if known, ok := t.known[text]; ok {
		return known
	}
	// A copy: the text may be a part of a larger one, which would be kept for it.
	text = strings.Clone(text)
	t.known[text] = text
	return text
}
