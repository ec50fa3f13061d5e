package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// hostileValues are what no field of the name may hold, as JSON.
func hostileValues() map[string][]string {
	text := func(greatest int) []string {
		return []string{
			`7`, `true`, `["x"]`, `{"a":1}`, `"` + strings.Repeat("é", greatest+1) + `"`,
			`"\u0000"`, `"a\u0000b"`, `"\u0007"`, `"a\u001bb"`,
		}
	}
	line := func(greatest int) []string { return append(text(greatest), `"a\nb"`) }
	word := []string{`7`, `true`, `["x"]`, `{}`, `""`, `"gone"`, `"PIANO"`, `"\u0000"`, `" active"`, `"` + strings.Repeat("x", 10_000) + `"`}
	number := []string{
		`"5"`, `true`, `[1]`, `{}`, `""`, `0`, `-1`, `1.5`, `1e2`, `100000`, `9223372036854775807`, `9223372036854775808`, `1e400`,
		strings.Repeat("9", 5000),
	}
	return map[string][]string{
		"title":           append(line(255), `""`, `"  "`, `null`),
		"composer":        line(255),
		"opus":            line(64),
		"instrument":      word,
		"difficulty":      word,
		"stylePeriod":     word,
		"difficultyLevel": number,
		"keySignature":    line(32),
		"timeSignature":   line(16),
		"tempoMarking":    line(64),
		"durationSeconds": number,
		"description":     text(5000),
		"tags": {
			`"x"`, `7`, `{}`, `[7]`, `[["x"]]`, `[null]`, `[""]`, `["  "]`, `["a\u0000b"]`, `["a\nb"]`, `["` + strings.Repeat("x", 65) + `"]`,
			`[` + strings.Join(quoted(51), ",") + `]`,
		},
		"metadata": {
			`"x"`, `7`, `[]`, `true`, `{"a":"\u0000"}`, `{"a\u0000":1}`, `{"a":[{"b":"x\u0000"}]}`, `{"a":1e400}`, `{"a":-1e99999}`,
			strings.Repeat(`{"a":`, 9) + `1` + strings.Repeat("}", 9),
			`{"a":"` + strings.Repeat("x", 16<<10) + `"}`, `{"a":` + strings.Repeat("9", 20_000) + `}`,
		},
		"status":     append(word, `null`),
		"visibility": append(word, `null`),
	}
}

// quoted are n texts that differ.
func quoted(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%q", fmt.Sprint("t", i))
	}
	return all
}

func TestC21NoFieldTakesHostileValues(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	for field, values := range hostileValues() {
		for _, value := range values {
			create := `{"title":"x","` + field + `":` + value + `}`
			if field == "title" {
				create = `{"title":` + value + `}`
			}
			requests := map[string][2]string{
				"creating":    {http.MethodPost + " /api/scores", create},
				"changing":    {http.MethodPut + " " + path, `{"` + field + `":` + value + `}`},
				"bulk update": {http.MethodPost + " /api/scores/bulk-update", `{"ids":["` + strings.TrimPrefix(path, "/api/scores/") + `"],"updates":{"` + field + `":` + value + `}}`},
			}
			for name, request := range requests {
				method, address, _ := strings.Cut(request[0], " ")
				got := l.as(t, alice, method, address, request[1])
				shown := value[:min(len(value), 40)]
				if got.status != http.StatusBadRequest {
					t.Errorf("%s with %s %s: %d %s", name, field, shown, got.status, got.body)
					continue
				}
				if !slices.ContainsFunc(got.fields(t), func(named string) bool { return strings.Contains(named, field) }) {
					t.Errorf("%s with %s %s: the details do not name the field: %s", name, field, shown, got.body)
				}
			}
		}
	}
	if now := l.as(t, alice, http.MethodGet, path, "").is(t, 200, "").data(t); now["version"] != 1.0 {
		t.Errorf("something was changed: %v", now)
	}
}

func TestC22NoBodyIsHostileEnough(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	const plain = "application/json"
	for name, tc := range map[string]struct {
		body, contentType string
		status            int
		field             string
	}{
		"nothing":                         {body: "", contentType: plain, status: 400},
		"spaces":                          {body: " \n", contentType: plain, status: 400},
		"null":                            {body: "null", contentType: plain, status: 400},
		"a list":                          {body: `[{"title":"x"}]`, contentType: plain, status: 400},
		"a text":                          {body: `"x"`, contentType: plain, status: 400},
		"half an object":                  {body: `{"title":"x"`, contentType: plain, status: 400},
		"two objects":                     {body: `{"title":"x"}{"title":"y"}`, contentType: plain, status: 400},
		"a comment":                       {body: `{"title":"x"/**/}`, contentType: plain, status: 400},
		"a byte order mark":               {body: "\ufeff" + `{"title":"x"}`, contentType: plain, status: 400},
		"an unknown field":                {body: `{"title":"x","ownerId":"bob"}`, contentType: plain, status: 400, field: "ownerId"},
		"a field of the database":         {body: `{"title":"x","owner_id":"bob"}`, contentType: plain, status: 400, field: "owner_id"},
		"a prototype":                     {body: `{"title":"x","__proto__":{}}`, contentType: plain, status: 400, field: "__proto__"},
		"a field named by a null byte":    {body: `{"title":"x","\u0000":1}`, contentType: plain, status: 400},
		"a field without end":             {body: `{"` + strings.Repeat("x", 100_000) + `":1}`, contentType: plain, status: 400},
		"the same field twice":            {body: `{"title":"x","title":"y"}`, contentType: plain, status: 400, field: "title"},
		"the same field in another case":  {body: `{"title":"x","Title":"y"}`, contentType: plain, status: 400},
		"the same field within metadata":  {body: `{"title":"x","metadata":{"a":1,"a":2}}`, contentType: plain, status: 400, field: "metadata.a"},
		"bytes that are not UTF-8":        {body: "{\"title\":\"a\xffb\"}", contentType: plain, status: 400},
		"half a surrogate":                {body: `{"title":"\ud800"}`, contentType: plain, status: 400},
		"half a surrogate in metadata":    {body: `{"title":"x","metadata":{"a":"\ud800"}}`, contentType: plain, status: 400},
		"bytes in metadata, not UTF-8":    {body: "{\"title\":\"x\",\"metadata\":{\"a\":\"\xff\"}}", contentType: plain, status: 400},
		"lists in lists":                  {body: strings.Repeat("[", 100_000), contentType: plain, status: 400},
		"deep metadata":                   {body: `{"title":"x","metadata":{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`, contentType: plain, status: 400},
		"objects in objects":              {body: strings.Repeat(`{"a":`, 100_000), contentType: plain, status: 400},
		"more than a mebibyte":            {body: `{"title":"` + strings.Repeat("x", maxBody) + `"}`, contentType: plain, status: 413},
		"a form":                          {body: "title=x", contentType: "application/x-www-form-urlencoded", status: 415},
		"many parts":                      {body: "--x", contentType: "multipart/form-data; boundary=x", status: 415},
		"plain text":                      {body: `{"title":"x"}`, contentType: "text/plain", status: 415},
		"no type":                         {body: `{"title":"x"}`, contentType: "", status: 415},
		"a type that only begins alike":   {body: `{"title":"x"}`, contentType: "application/jsonp", status: 415},
		"another character set":           {body: `{"title":"x"}`, contentType: plain + "; charset=utf-16", status: 415},
		"a type with a broken parameter":  {body: `{"title":"x"}`, contentType: plain + `; charset="`, status: 415},
		"one list of types, by a comma":   {body: `{"title":"x"}`, contentType: plain + ", text/html", status: 415},
		"an object within another's type": {body: `{"title":{"title":"x"}}`, contentType: plain, status: 400, field: "title"},
	} {
		t.Run(name, func(t *testing.T) {
			for method, address := range map[string]string{http.MethodPost: "/api/scores", http.MethodPut: path} {
				got := l.as(t, alice, method, address, tc.body, "Content-Type", tc.contentType)
				code := map[int]string{400: "VALIDATION_ERROR", 413: "PAYLOAD_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE"}[tc.status]
				got.is(t, tc.status, code)
				if tc.status != http.StatusBadRequest || got.status != tc.status {
					continue
				}
				if named := got.fields(t); len(named) == 0 || (tc.field != "" && !slices.Contains(named, tc.field)) {
					t.Errorf("%s %s names %q, want %q", method, got.body, named, tc.field)
				}
			}
		})
	}
}

func TestC22HostileHeadersAreRefused(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	for name, tc := range map[string]struct {
		header, value string
		status        int
	}{
		"an If-Match without quotes":        {"If-Match", "1", 412},
		"an If-Match of a weak tag":         {"If-Match", `W/"1"`, 412},
		"an If-Match beyond all numbers":    {"If-Match", `"99999999999999999999"`, 412},
		"an If-Match below all numbers":     {"If-Match", `"-1"`, 412},
		"an idempotency key with a space":   {"X-Idempotency-Key", "a b", 400},
		"an idempotency key without end":    {"X-Idempotency-Key", strings.Repeat("x", 129), 400},
		"an idempotency key in other bytes": {"X-Idempotency-Key", "\xff\xfe", 400},
		"a compressed body":                 {"Content-Encoding", "gzip", 415},
	} {
		t.Run(name, func(t *testing.T) {
			if got := l.as(t, alice, http.MethodPut, path, `{"title":"x"}`, tc.header, tc.value); got.status != tc.status {
				t.Errorf("%d, want %d: %s", got.status, tc.status, got.body)
			}
		})
	}
}
