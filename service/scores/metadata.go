package scores

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Limits of metadata.
const (
	maxMetadataBytes = 16 << 10
	maxMetadataDepth = 8
	// maxNumberScale is how many digits the database keeps behind the point of a number.
	maxNumberScale = 16383
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

// scaleOf is at least the number of digits behind the point of a number, written without an exponent. Numbers too close to nought
// for a double, and nought itself, may have any exponent.
func scaleOf(n json.Number) int {
	digits, exponent, _ := strings.Cut(strings.ToLower(n.String()), "e")
	if exponent == "" {
		return len(digits)
	}
	tens, err := strconv.Atoi(exponent)
	if err != nil || tens < -maxNumberScale || tens > maxNumberScale {
		return maxNumberScale + 1
	}
	return len(digits) + max(tens, -tens)
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
		if _, err := t.Float64(); err != nil || scaleOf(t) > maxNumberScale {
			return "number", "must not hold numbers beyond the range of a double"
		}
	case string:
		if strings.ContainsRune(t, 0) {
			return "text", `must not hold the character \u0000`
		}
	}
	return "", ""
}
