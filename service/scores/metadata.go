package scores

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Limits of metadata.
const (
	maxMetadataBytes = 16 << 10
	maxMetadataDepth = 8
)

// checkMetadata accepts a JSON object of bounded size and depth that the database can hold.
func checkMetadata(raw json.RawMessage) []fault.Detail {
	broken := func(code, message string) []fault.Detail {
		return []fault.Detail{{Field: "metadata", Code: code, Message: message}}
	}
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return broken("wrong_type", "must be an object")
	}
	if len(raw) > maxMetadataBytes {
		return broken("max", fmt.Sprintf("must have at most %d bytes", maxMetadataBytes))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for depth := 0; ; {
		token, err := dec.Token()
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				depth++
			} else {
				depth--
			}
		case json.Number:
			if _, err := t.Float64(); err != nil {
				return broken("number", "must not hold numbers beyond the range of a double")
			}
		case string:
			if strings.ContainsRune(t, 0) {
				return broken("text", `must not hold the character \u0000`)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return broken("malformed", "must be valid JSON")
		case depth > maxMetadataDepth:
			return broken("depth", fmt.Sprintf("must be nested at most %d levels deep", maxMetadataDepth))
		}
	}
}
