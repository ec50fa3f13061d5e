package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// decoded has a field of every kind that bodies have.
type decoded struct {
	Text   string            `json:"text"`
	Number *int              `json:"number"`
	List   []string          `json:"list"`
	Object map[string]string `json:"object"`
	Raw    json.RawMessage   `json:"raw"`
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"text":"a"}`, `{"text":1}`, `{"number":1e999}`, `{"list":[1]}`, `{"object":{"a":1}}`, `{"raw":[[[[]]]]}`, `{"text":"a","text":"b"}`,
		`[]`, `null`, `{"text":"\ud800"}`, `{} {}`, "\xef\xbb\xbf{}", "{\"text\":\"\xff\"}", `{"unknown":1}`, strings.Repeat(`{"raw":`, 50), "{\"text\":\"\x00\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		_, err := DecodeJSON[decoded](req)
		if err == nil {
			if !json.Valid([]byte(body)) || !utf8.ValidString(body) {
				t.Errorf("accepted what is no JSON in UTF-8: %q", body)
			}
			return
		}
		if code := fault.CodeOf(err); code != fault.Invalid {
			t.Errorf("%s for %q: %v", code, body, err)
		}
		if len(fault.Of(err).Details) == 0 {
			t.Errorf("no details for %q", body)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "page=1&limit=20", "page=0", "page=99999999999999999999", "limit=1&limit=2", "word=a", "word=b", "text=%00", "text=%ff", "text=", "%zz", "a;b", "page=+1", "page=0x1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q := ReadQuery(&http.Request{URL: &url.URL{RawQuery: raw}})
		page, limit := q.Page()
		word, text := q.OneOf("word", "a", "a", "b"), q.Text("text", 10)
		if page < 1 || page > MaxPage || limit < 1 || limit > MaxLimit || (word != "a" && word != "b") {
			t.Errorf("out of range for %q: %d, %d, %q", raw, page, limit, word)
		}
		if !utf8.ValidString(text) || utf8.RuneCountInString(text) > 10 || strings.ContainsRune(text, 0) {
			t.Errorf("bad text for %q: %q", raw, text)
		}
		if err := q.Err(); err != nil && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%v for %q", err, raw)
		}
	})
}

func FuzzRequestID(f *testing.F) {
	for _, seed := range []string{"", "abc", "a b", "a\nb", strings.Repeat("a", 129), "ü", "a/b:c+d=="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, proposed string) {
		id := requestID(proposed)
		if id == "" || len(id) > maxRequestID || strings.ContainsAny(id, "\r\n\x00 \"{}") || !utf8.ValidString(id) {
			t.Errorf("%q becomes %q", proposed, id)
		}
		if id != proposed && isRequestID(proposed) {
			t.Errorf("%q is not kept", proposed)
		}
	})
}

func FuzzConditionalHeaders(f *testing.F) {
	for _, seed := range []string{"", "*", `"1"`, `W/"1"`, `"1", "2"`, `"`, `"-1"`, `"99999999999999999999"`, `"1`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		version, err := IfMatch(&http.Request{Header: http.Header{"If-Match": {header}}})
		if version < 0 || (err != nil && fault.CodeOf(err) != fault.PreconditionFailed) {
			t.Errorf("%q: %d, %v", header, version, err)
		}
		if matchesETag(header, `"77"`) && !strings.Contains(header, "77") && !strings.Contains(header, "*") {
			t.Errorf("%q matches a tag that it does not hold", header)
		}
	})
}
