// Package validation checks structs against the rules in their validate tags and says what is wrong in the words of
// the API: JSON field names, codes and sentences. The rules themselves stand on the fields of the domains.
package validation

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Validator checks structs. It may be used by many goroutines; make one and keep it, since it remembers the types it
// has seen.
//
// Beyond the rules of go-playground/validator it knows two for strings: line is a text in UTF-8 without control
// characters, and lines allows line breaks and tabs as well.
type Validator struct {
	rules *validator.Validate
}

// New returns a validator.
func New() *Validator {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			return ""
		}
		return name
	})
	mustRegister(v, "line", func(r rune) bool { return !unicode.IsControl(r) })
	mustRegister(v, "lines", func(r rune) bool { return !unicode.IsControl(r) || r == '\n' || r == '\r' || r == '\t' })
	return &Validator{rules: v}
}

func mustRegister(v *validator.Validate, tag string, allowed func(rune) bool) {
	err := v.RegisterValidation(tag, func(fl validator.FieldLevel) bool {
		text := fl.Field().String()
		return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !allowed(r) })
	})
	if err != nil {
		panic(err) // the tag is a constant of this package
	}
}

// Check returns one detail for each field of the struct that breaks a rule, in the order of the fields.
func (v *Validator) Check(s any) []fault.Detail {
	err := v.rules.Struct(s)
	broken, ok := errors.AsType[validator.ValidationErrors](err)
	if !ok {
		if err != nil {
			panic(err) // s is no struct
		}
		return nil
	}
	details := make([]fault.Detail, 0, len(broken))
	for _, b := range broken {
		code, message := describe(b)
		details = append(details, fault.Detail{Field: b.Field(), Code: code, Message: message})
	}
	return details
}

func describe(b validator.FieldError) (code, message string) {
	switch b.Tag() {
	case "required":
		return "required", "is required"
	case "oneof":
		return "one_of", "must be one of " + strings.Join(strings.Fields(b.Param()), ", ")
	case "max":
		return "max", "must " + quantity(b, "at most")
	case "min":
		return "min", "must " + quantity(b, "at least")
	case "line":
		return "text", "must be text without control characters"
	case "lines":
		return "text", "must be text without control characters other than line breaks and tabs"
	}
	return b.Tag(), "is not valid"
}

func quantity(b validator.FieldError, bound string) string {
	switch b.Kind() {
	case reflect.String:
		if b.Tag() == "min" && b.Param() == "1" {
			return "not be empty"
		}
		return fmt.Sprintf("have %s %s characters", bound, b.Param())
	case reflect.Slice, reflect.Map, reflect.Array:
		return fmt.Sprintf("have %s %s entries", bound, b.Param())
	}
	return fmt.Sprintf("be %s %s", bound, b.Param())
}
