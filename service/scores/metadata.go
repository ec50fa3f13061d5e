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
	code, message := inspect(raw)
	if code == "" {
		return nil
	}
	return []fault.Detail{{Field: "metadata", Code: code, Message: message}}
}

// inspect returns which rule the metadata breaks, or nothing.
func inspect(raw json.RawMessage) (code, message string) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return "wrong_type", "must be an object"
	}
	if len(raw) > maxMetadataBytes {
		return "max", fmt.Sprintf("must have at most %d bytes", maxMetadataBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for depth := 0; ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return "", ""
		}
		if err != nil {
			return "malformed", "must be valid JSON"
		}
		if code, message := inspectToken(token, &depth); code != "" {
			return code, message
		}
	}
}

// inspectToken follows the depth and looks at one token.
func inspectToken(token json.Token, depth *int) (code, message string) {
	switch t := token.(type) {
	case json.Delim:
		if t == '}' || t == ']' {
			*depth--
			return "", ""
		}
		if *depth++; *depth > maxMetadataDepth {
			return "depth", fmt.Sprintf("must be nested at most %d levels deep", maxMetadataDepth)
		}
	case json.Number:
		if _, err := t.Float64(); err != nil {
			return "number", "must not hold numbers beyond the range of a double"
		}
	case string:
		if strings.ContainsRune(t, 0) {
			return "text", `must not hold the character \u0000`
		}
	}
	return "", ""
}
