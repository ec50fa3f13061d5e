package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/optional"
)

type thing struct {
	Name  string                   `json:"name"`
	Count optional.Value[int]      `json:"count"`
	Tags  optional.Value[[]string] `json:"tags"`
	Inner struct {
		On bool `json:"on"`
	} `json:"inner"`
	Many []struct {
		On bool `json:"on"`
	} `json:"many"`
	Maybe optional.Value[struct {
		On bool `json:"on"`
	}] `json:"maybe"`
	Extra json.RawMessage `json:"extra"`
}

func TestDecodeJSON(t *testing.T) {
	detail := func(field, code, message string) []fault.Detail {
		return []fault.Detail{{Field: field, Code: code, Message: message}}
	}
	for name, tc := range map[string]struct {
		contentType, encoding string
		body                  io.Reader
		code                  fault.Code
		details               []fault.Detail
	}{
		"an object is read":                    {body: strings.NewReader(` {"name":"a","count":1,"tags":["x"],"inner":{"on":true}} `)},
		"an empty object is read":              {body: strings.NewReader(`{}`)},
		"a charset of UTF-8 is accepted":       {contentType: "application/json; charset=UTF-8", body: strings.NewReader(`{}`)},
		"another charset is refused":           {contentType: "application/json; charset=latin1", body: strings.NewReader(`{}`), code: fault.UnsupportedMedia},
		"a form is refused":                    {contentType: "application/x-www-form-urlencoded", body: strings.NewReader(`name=a`), code: fault.UnsupportedMedia},
		"a missing type is refused":            {contentType: "-", body: strings.NewReader(`{}`), code: fault.UnsupportedMedia},
		"a malformed type is refused":          {contentType: "application", body: strings.NewReader(`{}`), code: fault.UnsupportedMedia},
		"a compressed body is refused":         {encoding: "gzip", body: strings.NewReader(`{}`), code: fault.UnsupportedMedia},
		"an unknown field is named":            {body: strings.NewReader(`{"nam":"a"}`), code: fault.Invalid, details: detail("nam", "unknown_field", "is not a field of this resource")},
		"a wrong type is named":                {body: strings.NewReader(`{"name":5}`), code: fault.Invalid, details: detail("name", "wrong_type", "holds a number where a string is needed")},
		"a wrong type inside is named":         {body: strings.NewReader(`{"inner":{"on":"yes"}}`), code: fault.Invalid, details: detail("inner.on", "wrong_type", "holds a string where a boolean is needed")},
		"a wrong type in an optional is named": {body: strings.NewReader(`{"count":"x"}`), code: fault.Invalid, details: detail("count", "wrong_type", "holds a string where a whole number in range is needed")},
		"a fraction is no whole number":        {body: strings.NewReader(`{"count":1.5}`), code: fault.Invalid, details: detail("count", "wrong_type", "holds the number 1.5 where a whole number in range is needed")},
		"a number out of range is named":       {body: strings.NewReader(`{"count":99999999999999999999}`), code: fault.Invalid, details: detail("count", "wrong_type", "holds the number 99999999999999999999 where a whole number in range is needed")},
		"a wrong entry names its list":         {body: strings.NewReader(`{"tags":[true]}`), code: fault.Invalid, details: detail("tags", "wrong_type", "holds a boolean where a string is needed")},
		"an object for a list is named":        {body: strings.NewReader(`{"tags":{}}`), code: fault.Invalid, details: detail("tags", "wrong_type", "holds an object where an array is needed")},
		"an array is no object":                {body: strings.NewReader(`[]`), code: fault.Invalid, details: detail("", "wrong_type", "The body must be a JSON object")},
		"null is no object":                    {body: strings.NewReader(`null`), code: fault.Invalid, details: detail("", "wrong_type", "The body must be a JSON object")},
		"an empty body is refused":             {body: strings.NewReader(" \n"), code: fault.Invalid, details: detail("", "required", "The request needs a JSON object as its body")},
		"text after the object is refused":     {body: strings.NewReader(`{"name":"a"} x`), code: fault.Invalid, details: detail("", "trailing_data", "The body must end after the JSON object")},
		"a second object is refused":           {body: strings.NewReader(`{}{}`), code: fault.Invalid, details: detail("", "trailing_data", "The body must end after the JSON object")},
		"an object cut short is refused":       {body: strings.NewReader(`{"name":"a"`), code: fault.Invalid, details: detail("", "malformed", "The body is not valid JSON")},
		"malformed JSON says where":            {body: strings.NewReader(`{"name":}`), code: fault.Invalid, details: detail("", "malformed", "The body is not valid JSON at byte 9")},
		"text is no JSON":                      {body: strings.NewReader(`hello`), code: fault.Invalid, details: detail("", "malformed", "The body is not valid JSON at byte 1")},
		"bad UTF-8 is refused":                 {body: strings.NewReader("{\"name\":\"\xff\"}"), code: fault.Invalid, details: detail("", "text", "The body must be encoded in UTF-8")},
		"a field given twice is named":         {body: strings.NewReader(`{"name":"a","count":1,"name":"b"}`), code: fault.Invalid, details: detail("name", "repeated", "must be given once")},
		"twice in another case is twice":       {body: strings.NewReader(`{"name":"a","Name":"b"}`), code: fault.Invalid, details: detail("Name", "repeated", "must be given once")},
		"twice inside is twice":                {body: strings.NewReader(`{"inner":{"on":true,"on":false}}`), code: fault.Invalid, details: detail("inner.on", "repeated", "must be given once")},
		"twice inside in another case":         {body: strings.NewReader(`{"INNER":{"on":true,"ON":false}}`), code: fault.Invalid, details: detail("INNER.ON", "repeated", "must be given once")},
		"twice in a list in another case":      {body: strings.NewReader(`{"many":[{"on":true},{"on":true,"oN":false}]}`), code: fault.Invalid, details: detail("many.oN", "repeated", "must be given once")},
		"twice in an optional in another case": {body: strings.NewReader(`{"maybe":{"on":true,"oN":false}}`), code: fault.Invalid, details: detail("maybe.oN", "repeated", "must be given once")},
		"twice deep inside is twice":           {body: strings.NewReader(`{"extra":[{"b":1},{"a":[{"c":1,"c":2}]}]}`), code: fault.Invalid, details: detail("extra.a.c", "repeated", "must be given once")},
		"a character of two halves is read":    {body: strings.NewReader(`{"name":"\ud834\udd1e","extra":"\\ud800"}`)},
		"a first half alone is refused":        {body: strings.NewReader(`{"name":"\ud834"}`), code: fault.Invalid, details: detail("", "text", `The body must not hold half a surrogate pair, such as \ud800`)},
		"a second half alone is refused":       {body: strings.NewReader(`{"extra":{"\udd1e":1}}`), code: fault.Invalid, details: detail("", "text", `The body must not hold half a surrogate pair, such as \ud800`)},
		"two first halves are refused":         {body: strings.NewReader(`{"name":"\ud834\ud834"}`), code: fault.Invalid, details: detail("", "text", `The body must not hold half a surrogate pair, such as \ud800`)},
		"the same texts as values are read":    {body: strings.NewReader(`{"tags":["name","name"],"name":"tags"}`)},
		"a name in two objects is read":        {body: strings.NewReader(`{"extra":[{"a":1,"A":2},{"a":1}]}`)},
		"a body beyond the limit is refused":   {body: strings.NewReader(`{"name":"` + strings.Repeat("x", 100) + `"}`), code: fault.TooLarge},
		"a body that breaks off is refused":    {body: broken{io.ErrUnexpectedEOF}, code: fault.Invalid, details: detail("", "malformed", "The body ended before it was complete")},
		"a body that never comes is refused":   {body: broken{os.ErrDeadlineExceeded}, code: fault.SlowRequest},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", tc.body)
			switch tc.contentType {
			case "":
				req.Header.Set("Content-Type", "application/json")
			case "-":
			default:
				req.Header.Set("Content-Type", tc.contentType)
			}
			if tc.encoding != "" {
				req.Header.Set("Content-Encoding", tc.encoding)
			}
			req.Body = http.MaxBytesReader(httptest.NewRecorder(), req.Body, 90)
			_, err := DecodeJSON[thing](req)
			if got := fault.CodeOf(err); got != tc.code {
				t.Fatalf("code %q (%v), want %q", got, err, tc.code)
			}
			if err == nil {
				return
			}
			if diff := cmp.Diff(tc.details, fault.Of(err).Details); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeJSONBoundsDepth(t *testing.T) {
	for depth, want := range map[int]fault.Code{maxDepth: "", maxDepth + 1: fault.Invalid, 5000: fault.Invalid, 20_000: fault.Invalid} {
		body := `{"extra":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		if _, err := DecodeJSON[thing](req); fault.CodeOf(err) != want {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}

// broken is a body that fails.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestReadQuery(t *testing.T) {
	type result struct {
		Page, Limit int
		Sort, Text  string
		Wrong       []string
	}
	for query, want := range map[string]result{
		"":                                     {Page: 1, Limit: 20, Sort: "name"},
		"page=3&limit=100&sort=age&q=Bach":     {Page: 3, Limit: 100, Sort: "age", Text: "Bach"},
		"unknown=1":                            {Page: 1, Limit: 20, Sort: "name"},
		"page=0&limit=101&sort=size":           {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"page", "limit", "sort"}},
		"page=abc":                             {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"page"}},
		"page=99999999999999999999":            {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"page"}},
		"page=1&page=2":                        {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"page"}},
		"q=":                                   {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"q"}},
		"q=%00":                                {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"q"}},
		"q=%ff":                                {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"q"}},
		"q=" + strings.Repeat("%C3%A9", 5):     {Page: 1, Limit: 20, Sort: "name", Text: "ééééé"},
		"q=" + strings.Repeat("%C3%A9", 6):     {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"q"}},
		"page=2&limit=%zz":                     {Page: 2, Limit: 20, Sort: "name", Wrong: []string{""}},
		"sort=name;drop":                       {Page: 1, Limit: 20, Sort: "name", Wrong: []string{""}},
		"sort=name&sort=name&page=-1&limit=1x": {Page: 1, Limit: 20, Sort: "name", Wrong: []string{"page", "limit", "sort"}},
	} {
		t.Run(query, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+query, nil)
			q := ReadQuery(req)
			var got result
			got.Page, got.Limit = q.Page()
			got.Sort = q.OneOf("sort", "name", "name", "age")
			got.Text = q.Text("q", 5)
			if err := q.Err(); err != nil {
				for _, d := range fault.Of(err).Details {
					got.Wrong = append(got.Wrong, d.Field)
				}
				if fault.CodeOf(err) != fault.Invalid {
					t.Errorf("code %q, want %q", fault.CodeOf(err), fault.Invalid)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
