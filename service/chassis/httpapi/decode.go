package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// InvalidBody is what the client reads when its body breaks a rule.
const InvalidBody = "Validation failed"

// DecodeJSON reads the body of a request into T, which is a struct. It is strict: a body that is not JSON by its content type, is
// too large, malformed, not an object or nested too deep, holds bad UTF-8, half a surrogate pair, a field that T does not have, a
// name twice, a value of another type, or anything after the object, is a fault with the details.
func DecodeJSON[T any](r *http.Request) (T, error) {
	var v T
	if _, err := RequireMedia(r, "application/json"); err != nil {
		return v, err
	}
	body, err := ReadBody(r)
	if err != nil {
		return v, err
	}
	return DecodeObject[T](body)
}

// DecodeObject reads JSON that has arrived already, as strictly as DecodeJSON does. Its fault is Invalid, in words that speak of the
// body of a request.
func DecodeObject[T any](body []byte) (T, error) {
	var v T
	if !utf8.Valid(body) {
		return v, invalidBody("", "text", "The body must be encoded in UTF-8")
	}
	if first := bytes.TrimLeft(body, " \t\r\n"); len(first) == 0 {
		return v, invalidBody("", "required", "The request needs a JSON object as its body")
	} else if first[0] != '{' && json.Valid(body) {
		return v, invalidBody("", "wrong_type", "The body must be a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return v, decodeFault(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return v, invalidBody("", "trailing_data", "The body must end after the JSON object")
	}
	if err := checkEscapes(body); err != nil {
		return v, err
	}
	return v, checkNames(body, reflect.TypeFor[T]())
}

// RequireMedia returns which of the media types the body of a request has. It is an UnsupportedMedia fault if it is none of them,
// compressed, or in another encoding than UTF-8.
func RequireMedia(r *http.Request, types ...string) (string, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return "", fault.New(fault.UnsupportedMedia, "The body must not be compressed")
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, mediaType) {
		return "", fault.New(fault.UnsupportedMedia, "The body must be sent as Content-Type: "+strings.Join(types, " or "))
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", fault.New(fault.UnsupportedMedia, "The body must be encoded in UTF-8")
	}
	return mediaType, nil
}

// ReadBody reads the body of a request to its end. Its errors are faults: TooLarge, SlowRequest, Invalid.
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyFault(err)
	}
	return body, nil
}

// bodyFault says why a body could not be read to its end.
func bodyFault(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.Wrap(fault.TooLarge, fmt.Sprintf("The body must not exceed %d bytes", tooLarge.Limit), err)
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return fault.Wrap(fault.SlowRequest, "The body did not arrive in time", err)
	}
	return &fault.Error{
		Code: fault.Invalid, Message: InvalidBody, Err: fmt.Errorf("reading the body: %w", err),
		Details: []fault.Detail{{Code: "malformed", Message: "The body ended before it was complete"}},
	}
}

// unknownField is the start of the text in which encoding/json reports a field that the type does not have; there is no typed error.
const unknownField = "json: unknown field "

func decodeFault(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalidBody(wrong.Field, "wrong_type",
			fmt.Sprintf("holds %s where %s is needed", jsonValue(wrong.Value), jsonType(wrong.Type)))
	}
	if name, ok := strings.CutPrefix(err.Error(), unknownField); ok {
		name = shorten(strings.Trim(name, `"`), 64)
		return invalidBody(name, "unknown_field", "is not a field of this resource")
	}
	message := "The body is not valid JSON"
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		message = fmt.Sprintf("The body is not valid JSON at byte %d", syntax.Offset)
	}
	return invalidBody("", "malformed", message)
}

func invalidBody(field, code, message string) error {
	return fault.InvalidInput(InvalidBody, fault.Detail{Field: field, Code: code, Message: message})
}

// jsonType names what JSON a Go type is read from.
func jsonType(t reflect.Type) string {
	if t == nil {
		return "another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range"
	}
	return "another type"
}

// jsonValue words what encoding/json says it found, such as "array" or "number 1.5".
func jsonValue(found string) string {
	switch kind, literal, _ := strings.Cut(found, " "); {
	case kind == "bool":
		return "a boolean"
	case kind == "array" || kind == "object":
		return "an " + kind
	case literal != "":
		return "the number " + shorten(literal, 32)
	default:
		return "a " + kind
	}
}
