package openapi

import (
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/swaggest/jsonschema-go"
)

// typePath is the package of a type argument.
var typePath = regexp.MustCompile(`[\w./-]*\.`)

// typeName is the name of a type; Envelope[scores.Score] becomes ScoreEnvelope.
func typeName(t reflect.Type) string {
	outer, arguments, generic := strings.Cut(t.Name(), "[")
	if !generic {
		return exported(outer)
	}
	arguments = typePath.ReplaceAllString(strings.TrimSuffix(arguments, "]"), "")
	var name strings.Builder
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(arguments, -1) {
		name.WriteString(exported(word))
	}
	return name.String() + exported(outer)
}

func packageName(t reflect.Type) string { return exported(path.Base(t.PkgPath())) }

func exported(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// elementer is a type that stands for another one with something added, such as optional.Value.
type elementer interface {
	// Element returns a value of the type that is meant.
	Element() any
}

// schemaOf describes the types that reflection would get wrong: raw JSON is anything, and what stands for another
// type is that type or null.
func schemaOf(reflector interface {
	Reflect(any, ...func(*jsonschema.ReflectContext)) (jsonschema.Schema, error)
},
) jsonschema.InterceptSchemaFunc {
	return func(params jsonschema.InterceptSchemaParams) (bool, error) {
		if params.Processed {
			return false, nil
		}
		if params.Value.Type() == reflect.TypeFor[json.RawMessage]() {
			*params.Schema = *(&jsonschema.Schema{}).WithDescription("Any JSON that the rules of the field allow.")
			return true, nil
		}
		stands, ok := reflect.Zero(params.Value.Type()).Interface().(elementer)
		if !ok {
			return false, nil
		}
		element, err := reflector.Reflect(stands.Element(), jsonschema.InlineRefs)
		if err != nil {
			return false, err
		}
		*params.Schema = element
		addNull(params.Schema)
		return true, nil
	}
}

func addNull(s *jsonschema.Schema) {
	if s.Type == nil || s.HasType(jsonschema.Null) {
		return
	}
	s.AddType(jsonschema.Null)
	if len(s.Enum) > 0 {
		s.Enum = append(s.Enum, nil)
	}
}

// ruleOf puts the validate tag of a field into its schema.
func ruleOf(params jsonschema.InterceptPropParams) error {
	if !params.Processed || params.PropertySchema == nil {
		return nil
	}
	if applyTag(params.PropertySchema, params.Field.Tag.Get("validate")) {
		params.ParentSchema.Required = append(params.ParentSchema.Required, params.Name)
	}
	return nil
}

// applyRules puts the validate tags of a struct into the properties of a schema that have the same names.
func applyRules(s *jsonschema.Schema, rules any) {
	if rules == nil {
		return
	}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(rules)) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		property, ok := s.Properties[name]
		if !ok || property.TypeObject == nil {
			continue
		}
		if applyTag(property.TypeObject, field.Tag.Get("validate")) {
			s.Required = append(s.Required, name)
		}
	}
}

// applyTag translates the rules that JSON Schema knows as well. It reports whether the field is required.
func applyTag(s *jsonschema.Schema, tag string) (required bool) {
	for rule := range strings.SplitSeq(tag, ",") {
		name, value, _ := strings.Cut(rule, "=")
		switch name {
		case "required":
			required = true
			if s.HasType(jsonschema.String) {
				s.WithMinLength(1)
			}
		case "dive":
			if items := s.Items; items != nil && items.SchemaOrBool != nil && items.SchemaOrBool.TypeObject != nil {
				s = items.SchemaOrBool.TypeObject
			}
		case "oneof":
			applyWords(s, value)
		case "min", "max":
			applyBound(s, name == "min", value)
		case "email", "uuid":
			s.WithFormat(name)
		}
	}
	return required
}

func applyWords(s *jsonschema.Schema, words string) {
	s.Enum = nil
	for word := range strings.FieldsSeq(words) {
		s.Enum = append(s.Enum, word)
	}
	if s.HasType(jsonschema.Null) {
		s.Enum = append(s.Enum, nil)
	}
}

func applyBound(s *jsonschema.Schema, least bool, text string) {
	bound, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return
	}
	switch {
	case s.HasType(jsonschema.String) && least:
		s.WithMinLength(bound)
	case s.HasType(jsonschema.String):
		s.WithMaxLength(bound)
	case s.HasType(jsonschema.Array) && least:
		s.WithMinItems(bound)
	case s.HasType(jsonschema.Array):
		s.WithMaxItems(bound)
	case least:
		s.WithMinimum(float64(bound))
	default:
		s.WithMaximum(float64(bound))
	}
}
