package scores_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/interchange"
)

const jsonLines, csv = "application/x-ndjson", "text/csv"

func (a *api) export(caller auth.Identity, format string) answer {
	a.t.Helper()
	got := a.as(caller, "GET", "/api/scores/export?format="+format, "")
	if got.status != http.StatusOK {
		a.t.Fatalf("exporting: %d %s", got.status, got.body)
	}
	return got
}

func (a *api) imports(caller auth.Identity, mediaType, body string) interchange.Report {
	a.t.Helper()
	got := a.as(caller, "POST", "/api/scores/import", body, "Content-Type", mediaType)
	if got.status != http.StatusOK {
		a.t.Fatalf("importing: %d %s", got.status, got.body)
	}
	return decode[httpapi.Envelope[interchange.Report]](a.t, got).Data
}

// exported are the scores of an export in JSON Lines.
func exported(t testing.TB, body []byte) (all []scores.Score) {
	t.Helper()
	for line := range strings.Lines(string(body)) {
		var s scores.Score
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, s)
	}
	return all
}

// hostile are scores whose texts look like what stands between texts, or like what programs take for something else.
var hostile = []string{
	`{"title":"plain"}`,
	`{"title":"=HYPERLINK(\"http://x\")","composer":"+1","opus":"-1","keySignature":"@a","description":"'=already guarded","tags":["=a","a;b","a,b","[\"c\"]","\"","{}"]}`,
	`{"title":"'s Gravenhage","composer":"''","description":"lines\nof\r\nall\rkinds\n\ttab \"quoted\", and; separated","tempoMarking":"＝x"}`,
	`{"title":"Étude 𝄞 \\N \\.","composer":"Dvořák","instrument":"both","difficulty":"advanced","stylePeriod":"romantic","difficultyLevel":7,"durationSeconds":86400,"timeSignature":"3/4","status":"archived","visibility":"unlisted"}`,
	`{"title":"\ufefftrue","opus":"1/2","metadata":{"a":[1,-2.5e-3,null,true,"\u0001\"\\<&>"],"é":{"":{}}},"visibility":"public"}`,
}

func TestExportAndImportElsewhereGiveTheSame(t *testing.T) {
	origin := newAPI(t)
	for _, body := range hostile {
		origin.create(alice, body)
	}
	origin.create(bob, `{"title":"bob's","visibility":"public"}`)
	given := cmpopts.IgnoreFields(scores.Score{}, "OwnerID", "CreatedAt", "UpdatedAt")
	want := exported(t, origin.export(alice, "jsonl").body)
	if len(want) != len(hostile) {
		t.Fatalf("%d scores were exported, want %d", len(want), len(hostile))
	}
	for format, mediaType := range map[string]string{"jsonl": jsonLines, "csv": csv} {
		t.Run(format, func(t *testing.T) {
			file := origin.export(alice, format)
			if n := file.header.Get(interchange.CountHeader); n != fmt.Sprint(len(hostile)) || file.header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", file.header)
			}
			elsewhere := newAPI(t)
			if got := elsewhere.imports(bob, mediaType, string(file.body)); got.Created != len(hostile) || len(got.Lines) != len(hostile) {
				t.Errorf("imported %+v", got)
			}
			back := elsewhere.export(bob, "jsonl").body
			sorted := cmpopts.SortSlices(func(a, b scores.Score) bool { return a.ID < b.ID })
			if diff := cmp.Diff(want, exported(t, back), given, sorted); diff != "" {
				t.Errorf("(-exported +imported):\n%s", diff)
			}
			// Both there and where it came from it is known by now.
			for place, a := range map[*api]auth.Identity{elsewhere: bob, origin: alice} {
				if got := place.imports(a, mediaType, string(file.body)); got.Unchanged != len(hostile) {
					t.Errorf("imported again: %+v", got)
				}
			}
		})
	}
}

func TestImportUpdatesWhatIsGivenAndKeepsTheRest(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Nocturne","composer":"Field","tags":["a"],"metadata":{"k":1},"visibility":"public"}`)
	read := func() scores.Score { // by whom a kept answer may serve
		return decode[httpapi.Envelope[scores.Score]](t, a.as(auth.Identity{}, "GET", path, "")).Data
	}
	before := read()
	// Separated as where the comma stands in numbers, with another order and case of columns, and written by hand.
	report := a.imports(alice, csv, "\uFEFFTitle;ID;tags;Composer\r\nNocturne in B;"+strings.ToUpper(before.ID)+";\"x; y\";\r\n")
	if diff := cmp.Diff([]interchange.Line{{Line: 2, ID: before.ID, Outcome: interchange.Updated}}, report.Lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want, got := before, read()
	want.Title, want.Composer, want.Tags, want.Version, want.UpdatedAt = "Nocturne in B", nil, []string{"x", "y"}, 2, got.UpdatedAt
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a.imports(alice, jsonLines, `{"id":"`+before.ID+`","composer":"Field"}`); cmp.Diff(new("Field"), read().Composer) != "" {
		t.Errorf("the composer is %v", read().Composer)
	}
}

// An import must neither change what is another's nor tell more of it than that its ID is not free.
func TestImportLeavesOthersAlone(t *testing.T) {
	a := newAPI(t)
	paths := map[string]string{}
	var body strings.Builder
	for _, visibility := range []string{"private", "unlisted", "public"} {
		paths[visibility] = a.create(alice, `{"title":"hers","visibility":"`+visibility+`"}`)
		fmt.Fprintf(&body, `{"id":%q,"title":"his","ownerId":"alice","version":1,"analysis":null}`+"\n", idOf(paths[visibility]))
	}
	for name, caller := range map[string]auth.Identity{"a user": bob, "an admin": admin} {
		report := a.imports(caller, jsonLines, body.String())
		if report.Refused != len(paths) {
			t.Errorf("%s: %+v", name, report)
		}
		for _, line := range report.Lines {
			want := interchange.Line{Line: line.Line, ID: line.ID, Outcome: interchange.Refused, Details: []fault.Detail{{Field: "id", Code: "taken", Message: "is in use; leave it out to have another one given"}}}
			if diff := cmp.Diff(want, line); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
	for _, path := range paths {
		if s := decode[httpapi.Envelope[scores.Score]](t, a.as(alice, "GET", path, "").expect(t, 200, `"1"`)).Data; s.Title != "hers" {
			t.Errorf("it became %+v", s)
		}
	}
}

func TestImportTellsOfEachLine(t *testing.T) {
	a := newAPI(t)
	known := idOf(a.create(alice, `{"title":"known"}`))
	fresh := uuid.NewString()
	lines := []string{
		`{"title":"no ID","tags":["a"]}`, ``,
		`{"id":"` + known + `","title":"known"}`, `{"id":"` + known + `","title":"again"}`,
		`{"id":"` + fresh + `","title":"fresh"}`,
		`{"id":"7","title":"x"}`, `{"title":"x","titel":"x"}`, `{"title":"x","title":"y"}`, `{"title":`, `[]`,
		`{"title":"x","metadata":{"a":1,"a":2}}`, `{"title":"\ud800"}`, "{\"title\":\"\xff\"}",
		`{"title":"","difficultyLevel":11,"instrument":"flute","tags":[""],"metadata":{"n":1e400}}`,
		`{"title":"` + strings.Repeat("x", 300) + `","description":"a\u0000b"}`,
	}
	report := a.imports(alice, jsonLines, strings.Join(lines, "\r\n"))
	told := map[int]string{}
	for _, l := range report.Lines {
		told[l.Line] = string(l.Outcome)
		for _, d := range l.Details {
			told[l.Line] += " " + d.Field + ":" + d.Code
		}
	}
	want := map[int]string{
		1: "created", 3: "unchanged", 4: "refused id:repeated", 5: "created", 6: "refused id:uuid", 7: "refused titel:unknown_field",
		8: "refused title:repeated", 9: "refused :malformed", 10: "refused :wrong_type", 11: "refused metadata.a:repeated", 12: "refused :text",
		13: "refused :text", 14: "refused title:required difficultyLevel:max instrument:oneof", 15: "refused title:max description:text",
	}
	// What a single score would be refused for is what its line is refused for.
	want[14] = "refused"
	for _, d := range decode[httpapi.ErrorEnvelope](t, a.as(alice, "POST", "/api/scores", lines[13])).Details {
		want[14] += " " + d.Field + ":" + d.Code
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	counts := interchange.Counts{Created: 2, Unchanged: 1, Refused: len(want) - 3}
	if diff := cmp.Diff(counts, report.Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.as(alice, "GET", "/api/scores/"+fresh, "").expect(t, 200, `"1"`)
}

func TestImportOfTables(t *testing.T) {
	a := newAPI(t)
	for name, tc := range map[string]struct {
		body string
		want map[int]string
	}{
		"quoted line breaks count":       {"title,description\r\n\"a\",\"1\r\n2\n3\"\r\n,x\r\n", map[int]string{2: "created", 5: "refused title:required"}},
		"the last line may lack its end": {"title\na\nb", map[int]string{2: "created", 3: "created"}},
		"empty lines are passed over":    {"title,opus\n\n\na,\n", map[int]string{4: "created"}},
		"an empty cell is no value":      {"title,difficulty,difficultyLevel,status,visibility,tags,metadata\na,,,,,,\n", map[int]string{2: "created"}},
		"cells and columns agree":        {"title,opus\na\nb,1,2\nc,1\n", map[int]string{2: "refused :columns", 3: "refused :columns", 4: "created"}},
		"a quote stands in quotes":       {"title\na\"b\n\"a\"b\n\"a\"\"b\"\n\"open", map[int]string{2: "refused :malformed", 3: "refused :malformed", 4: "created", 5: "refused :malformed"}},
		"a number is whole":              {"title,difficultyLevel\na,7\nb,7.0\nc,x\nd,+7\ne,07\n", map[int]string{2: "created", 3: "refused difficultyLevel:wrong_type", 4: "refused difficultyLevel:wrong_type", 5: "refused difficultyLevel:wrong_type", 6: "refused difficultyLevel:wrong_type"}},
		"a cell holds one value":         {"title,metadata\na,\"{},\"\"opus\"\":\"\"x\"\"\"\nb,\"{\"\"a\"\":1}\"\n", map[int]string{2: "refused metadata:wrong_type", 3: "created"}},
		"a text is in UTF-8":             {"title\n\xe9tude\n", map[int]string{2: "refused title:text"}},
	} {
		t.Run(name, func(t *testing.T) {
			told := map[int]string{}
			for _, l := range a.imports(alice, csv+"; charset=utf-8", tc.body).Lines {
				told[l.Line] = string(l.Outcome)
				for _, d := range l.Details {
					told[l.Line] += " " + d.Field + ":" + d.Code
				}
			}
			if diff := cmp.Diff(tc.want, told); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestImportRefusesWhatIsNoFile(t *testing.T) {
	a := newAPI(t)
	for name, tc := range map[string]struct {
		caller          auth.Identity
		mediaType, body string
		status          int
		code            fault.Code
	}{
		"nobody's":                       {auth.Identity{}, csv, "title\na\n", 401, fault.Unauthenticated},
		"of another type":                {alice, "application/json", `{}`, 415, fault.UnsupportedMedia},
		"in another encoding":            {alice, csv + "; charset=utf-16", "title\na\n", 415, fault.UnsupportedMedia},
		"a table with an unknown column": {alice, csv, "title,titel\na,b\n", 400, fault.Invalid},
		"a table with a column twice":    {alice, csv, "title,Title\na,b\n", 400, fault.Invalid},
		"a table in UTF-16":              {alice, csv, "\xff\xfet\x00i\x00t\x00l\x00e\x00\n\x00", 400, fault.Invalid},
		"empty":                          {alice, csv, "\n", 400, fault.Invalid},
		"lines that hold nothing":        {alice, jsonLines, "\n\n", 400, fault.Invalid},
		"too large":                      {alice, jsonLines, strings.Repeat(strings.Repeat(" ", 1<<19)+"\n", interchange.MaxFile>>19+1), 413, fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(tc.caller, "POST", "/api/scores/import", tc.body, "Content-Type", tc.mediaType)
			if got.status != tc.status || got.code(t) != tc.code {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	a.as(alice, "GET", "/api/scores/export?format=xml", "").expect(t, 400, "")
	a.as(auth.Identity{}, "GET", "/api/scores/export", "").expect(t, 401, "")
}
