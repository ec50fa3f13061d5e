package scores

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// maxCursor is longer than any cursor that the service gives out, in bytes.
const maxCursor = 4096

// cursor is a position in the form that clients hand back. They are told not to look inside, but nothing depends on it: what
// a caller may list is decided anew for each request, so that a forged cursor is just another place in the caller's own list.
type cursor struct {
	Sort       Sort    `json:"s"`
	Descending bool    `json:"d"`
	ID         string  `json:"i"`
	Value      *string `json:"v"`
}

// newCursor returns the text that leads to the position in a list sorted that way.
func newCursor(q ListQuery, p Position) string {
	// Marshalling a struct of texts and a bool cannot go wrong.
	text, _ := json.Marshal(cursor{Sort: q.Sort, Descending: q.Descending, ID: p.ID, Value: p.Value})
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseCursor accepts what newCursor returns and nothing else. Its fault is Invalid.
func parseCursor(text string) (cursor, error) {
	var c cursor
	if len(text) > maxCursor {
		return c, badCursor()
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || !utf8.Valid(decoded) || json.Unmarshal(decoded, &c) != nil || !c.valid() {
		return cursor{}, badCursor()
	}
	if again, err := json.Marshal(c); err != nil || !bytes.Equal(again, decoded) {
		return cursor{}, badCursor()
	}
	return c, nil
}

func (c cursor) valid() bool {
	id, err := uuid.Parse(c.ID)
	if err != nil || id.String() != c.ID || !slices.Contains(sorts(), c.Sort) {
		return false
	}
	if c.Value == nil {
		return c.Sort.mayLack()
	}
	switch c.Sort {
	case ByCreatedAt, ByUpdatedAt:
		at, err := time.Parse(time.RFC3339Nano, *c.Value)
		return err == nil && at.Year() > 0 && at.UTC().Format(time.RFC3339Nano) == *c.Value
	case ByDifficultyLevel:
		level, err := strconv.Atoi(*c.Value)
		return err == nil && level >= 1 && level <= 10
	case ByTitle, ByComposer:
	}
	return !bytes.ContainsRune([]byte(*c.Value), 0)
}

func badCursor() error {
	return fault.InvalidInput("Invalid query parameters", fault.Detail{
		Field: "cursor", Code: "cursor", Message: "must be the nextCursor of an answer, with the same sort and order",
	})
}
