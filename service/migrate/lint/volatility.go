package lint

import (
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// volatility is that of a routine, as pg_proc has it.
type volatility byte

const (
	immutable volatility = 'i'
	stable    volatility = 's'
	volatile  volatility = 'v'
)

// steady are functions of PostgreSQL that give the same value to all rows of a statement and that people use in defaults. What is
// not among them counts as volatile, unless a database or a file says otherwise: that errs on the side of the table's users.
var steady = strings.Fields(`
	now transaction_timestamp statement_timestamp current_date current_timestamp current_setting current_user session_user current_schema
	current_database txid_current pg_current_xact_id pg_backend_pid inet_client_addr version
	date_trunc date_part extract make_date make_time make_timestamp make_timestamptz make_interval to_timestamp to_date to_char to_number age timezone
	lower upper initcap btrim ltrim rtrim trim length char_length octet_length substr substring left right replace repeat lpad rpad concat concat_ws
	format md5 sha224 sha256 sha384 sha512 encode decode convert_to convert_from quote_literal quote_ident reverse split_part translate chr ascii
	hashtext hashtextextended abs ceil ceiling floor round trunc sqrt power mod sign exp ln log greatest least coalesce nullif
	array_append array_cat array_fill array_length array_to_string string_to_array cardinality unnest
	json_build_object json_build_array jsonb_build_object jsonb_build_array to_json to_jsonb jsonb_set int4range int8range numrange tsrange tstzrange daterange
	to_tsvector to_tsquery plainto_tsquery setweight point box circle`)

// isVolatile says whether an expression may have another value for each row; then the rows have to be written one by one.
func (s *schema) isVolatile(expression *pgquery.Node) bool {
	found := false
	walk(expression, func(m proto.Message) {
		call, ok := m.(*pgquery.FuncCall)
		if !ok {
			return
		}
		parts := words(call.GetFuncname())
		found = found || s.volatilityOf(parts) == volatile
	})
	return found
}

func (s *schema) volatilityOf(parts []string) volatility {
	if len(parts) == 0 {
		return volatile
	}
	last := parts[len(parts)-1]
	if v, known := s.routines[s.nameOf(parts)]; known {
		return v
	}
	if v, known := s.routines[name{"pg_catalog", last}]; known && (len(parts) == 1 || parts[0] == "pg_catalog") {
		return v
	}
	if (len(parts) == 1 || parts[0] == "pg_catalog") && slices.Contains(steady, last) {
		return stable
	}
	return volatile
}

// isNull recognises DEFAULT NULL, which is no default.
func isNull(expression *pgquery.Node) bool {
	if cast := expression.GetTypeCast(); cast != nil {
		return isNull(cast.GetArg())
	}
	return expression == nil || expression.GetAConst().GetIsnull()
}

// walk shows every message below m, and m.
func walk(m proto.Message, visit func(proto.Message)) {
	if m == nil || !m.ProtoReflect().IsValid() {
		return
	}
	visit(m)
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range value.List().Len() {
				walk(value.List().Get(i).Message().Interface(), visit)
			}
		default:
			walk(value.Message().Interface(), visit)
		}
		return true
	})
}
