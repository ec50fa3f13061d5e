package httpapi

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// PathUUID returns a UUID of the path in lower case. Its fault is Invalid.
func PathUUID(r *http.Request, name string) (string, error) {
	id, ok := ParseUUID(r.PathValue(name))
	if !ok {
		return "", fault.InvalidInput("Invalid route parameters",
			fault.Detail{Field: name, Code: "uuid", Message: "must be a UUID"})
	}
	return id, nil
}

// ParseUUID returns a UUID in lower case. It takes the form with four hyphens and no other.
func ParseUUID(text string) (string, bool) {
	const length = 36 // uuid.Parse takes other spellings as well
	id, err := uuid.Parse(text)
	return id.String(), err == nil && len(text) == length
}
