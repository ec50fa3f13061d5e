package scores

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/optional"
	"github.com/mirubato/mirubato/service/chassis/validation"
)

func TestAccess(t *testing.T) {
	anonymous := auth.Identity{}
	alice := auth.Identity{ID: "alice", Role: auth.RoleUser}
	bob := auth.Identity{ID: "bob", Role: auth.RoleUser}
	teacher := auth.Identity{ID: "tess", Role: auth.RoleTeacher}
	admin := auth.Identity{ID: "root", Role: auth.RoleAdmin}
	const allowed, denied, absent = fault.Code(""), fault.Denied, fault.NotFound
	for name, tc := range map[string]struct {
		caller     auth.Identity
		visibility Visibility
		see        bool
		change     fault.Code
	}{
		"an owner does everything with a private score": {caller: alice, visibility: Private, see: true, change: allowed},
		"an owner does everything with a public score":  {caller: alice, visibility: Public, see: true, change: allowed},
		"an admin does everything":                      {caller: admin, visibility: Private, see: true, change: allowed},
		"another's private score does not exist":        {caller: bob, visibility: Private, change: absent},
		"another's unlisted score is read by ID":        {caller: bob, visibility: Unlisted, see: true, change: denied},
		"another's public score is only read":           {caller: bob, visibility: Public, see: true, change: denied},
		"a teacher is not above owners":                 {caller: teacher, visibility: Private, change: absent},
		"anonymous callers read public scores":          {caller: anonymous, visibility: Public, see: true, change: denied},
		"anonymous callers read unlisted scores by ID":  {caller: anonymous, visibility: Unlisted, see: true, change: denied},
		"anonymous callers see no private score":        {caller: anonymous, visibility: Private, change: absent},
	} {
		t.Run(name, func(t *testing.T) {
			s := Score{OwnerID: "alice", Fields: Fields{Visibility: tc.visibility}}
			if got := maySee(tc.caller, s); got != tc.see {
				t.Errorf("maySee = %t, want %t", got, tc.see)
			}
			if got := fault.CodeOf(requireChange(tc.caller, s)); got != tc.change {
				t.Errorf("requireChange = %q, want %q", got, tc.change)
			}
		})
	}
}

// A score without an owner must not belong to callers without an identity.
func TestNobodyOwnsNothing(t *testing.T) {
	if mayChange(auth.Identity{}, Score{}) {
		t.Error("an anonymous caller owns a score without owner")
	}
}

func TestChange(t *testing.T) {
	before := Fields{
		Title: "Prelude", Composer: new("Bach"), DifficultyLevel: new(3), Tags: []string{"a"},
		Metadata: json.RawMessage(`{"k":1}`), Status: Active, Visibility: Private,
	}
	with := func(edit func(*Fields)) Fields {
		f := before
		edit(&f)
		return f
	}
	for name, tc := range map[string]struct {
		json string
		want Fields
	}{
		"nothing given keeps everything":       {json: `{}`, want: before},
		"a value replaces":                     {json: `{"title":"Fugue","difficultyLevel":4}`, want: with(func(f *Fields) { f.Title, f.DifficultyLevel = "Fugue", new(4) })},
		"null clears":                          {json: `{"composer":null,"difficultyLevel":null}`, want: with(func(f *Fields) { f.Composer, f.DifficultyLevel = nil, nil })},
		"an empty text is null":                {json: `{"composer":"  "}`, want: with(func(f *Fields) { f.Composer = nil })},
		"texts are trimmed":                    {json: `{"title":" Fugue ","composer":"\tBach\n"}`, want: with(func(f *Fields) { f.Title = "Fugue" })},
		"null tags are no tags":                {json: `{"tags":null}`, want: with(func(f *Fields) { f.Tags = []string{} })},
		"tags are trimmed and not repeated":    {json: `{"tags":["b"," b","a","b"]}`, want: with(func(f *Fields) { f.Tags = []string{"b", "a"} })},
		"null metadata is empty":               {json: `{"metadata":null}`, want: with(func(f *Fields) { f.Metadata = json.RawMessage(`{}`) })},
		"metadata is replaced, not merged":     {json: `{"metadata":{"z":[null]}}`, want: with(func(f *Fields) { f.Metadata = json.RawMessage(`{"z":[null]}`) })},
		"a title cannot be cleared":            {json: `{"title":null}`, want: with(func(f *Fields) { f.Title = "" })},
		"status and visibility change at once": {json: `{"status":"archived","visibility":"public"}`, want: with(func(f *Fields) { f.Status, f.Visibility = Archived, Public })},
	} {
		t.Run(name, func(t *testing.T) {
			var c Change
			if err := json.Unmarshal([]byte(tc.json), &c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.applyTo(before)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff([]string{"a"}, before.Tags); diff != "" {
		t.Errorf("the fields before were changed:\n%s", diff)
	}
}

func TestRules(t *testing.T) {
	long := func(n int) optional.Value[string] { return optional.Of(strings.Repeat("é", n)) }
	tags := func(n int, tag string) optional.Value[[]string] {
		var all []string
		for i := range n {
			all = append(all, tag+strings.Repeat("x", i))
		}
		return optional.Of(all)
	}
	meta := func(text string) optional.Value[json.RawMessage] { return optional.Of(json.RawMessage(text)) }
	rules := validation.New()
	for name, tc := range map[string]struct {
		change Change
		broken []string
	}{
		"a title is enough":                        {change: Change{}},
		"a title is required":                      {change: Change{Title: optional.Null[string]()}, broken: []string{"title required"}},
		"a title of blanks is none":                {change: Change{Title: optional.Of("  ")}, broken: []string{"title required"}},
		"a title has 255 characters at most":       {change: Change{Title: long(255)}},
		"a title has no more":                      {change: Change{Title: long(256)}, broken: []string{"title max"}},
		"a title is one line":                      {change: Change{Title: optional.Of("a\nb")}, broken: []string{"title text"}},
		"texts are bounded":                        {change: Change{Composer: long(256), Opus: long(65), KeySignature: long(33), TimeSignature: long(17), TempoMarking: long(65), Description: long(5001)}, broken: []string{"composer max", "opus max", "keySignature max", "timeSignature max", "tempoMarking max", "description max"}},
		"texts at their bounds pass":               {change: Change{Composer: long(255), Opus: long(64), KeySignature: long(32), TimeSignature: long(16), TempoMarking: long(64), Description: long(5000)}},
		"a description has lines":                  {change: Change{Description: optional.Of("one\r\ntwo\tthree")}},
		"a description has no other controls":      {change: Change{Description: optional.Of("a\x00b")}, broken: []string{"description text"}},
		"words come from their lists":              {change: Change{Instrument: optional.Of(Instrument("lute")), Difficulty: optional.Of(Difficulty("hard")), StylePeriod: optional.Of("pop"), Status: optional.Of(Status("gone")), Visibility: optional.Of(Visibility("secret"))}, broken: []string{"instrument one_of", "difficulty one_of", "stylePeriod one_of", "status one_of", "visibility one_of"}},
		"an empty word is not in a list":           {change: Change{Instrument: optional.Of(Instrument("")), Difficulty: optional.Of(Difficulty(""))}, broken: []string{"instrument one_of", "difficulty one_of"}},
		"status and visibility cannot be cleared":  {change: Change{Status: optional.Null[Status](), Visibility: optional.Null[Visibility]()}, broken: []string{"status one_of", "visibility one_of"}},
		"numbers at their bounds pass":             {change: Change{DifficultyLevel: optional.Of(10), DurationSeconds: optional.Of(86400)}},
		"numbers are not below their bounds":       {change: Change{DifficultyLevel: optional.Of(0), DurationSeconds: optional.Of(0)}, broken: []string{"difficultyLevel min", "durationSeconds min"}},
		"numbers are not beyond their bounds":      {change: Change{DifficultyLevel: optional.Of(11), DurationSeconds: optional.Of(86401)}, broken: []string{"difficultyLevel max", "durationSeconds max"}},
		"fifty tags pass":                          {change: Change{Tags: tags(50, "t")}},
		"there are no more":                        {change: Change{Tags: tags(51, "t")}, broken: []string{"tags max"}},
		"a tag is not empty":                       {change: Change{Tags: optional.Of([]string{"a", " "})}, broken: []string{"tags[1] min"}},
		"a tag has 64 characters at most":          {change: Change{Tags: optional.Of([]string{strings.Repeat("é", 65)})}, broken: []string{"tags[0] max"}},
		"metadata is an object":                    {change: Change{Metadata: meta(`[1]`)}, broken: []string{"metadata wrong_type"}},
		"metadata of 16 KiB passes":                {change: Change{Metadata: meta(`{"k":"` + strings.Repeat("x", maxMetadataBytes-8) + `"}`)}},
		"metadata has no more":                     {change: Change{Metadata: meta(`{"k":"` + strings.Repeat("x", maxMetadataBytes-7) + `"}`)}, broken: []string{"metadata max"}},
		"metadata nested 8 deep passes":            {change: Change{Metadata: meta(`{"k":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `}`)}},
		"metadata is not nested deeper":            {change: Change{Metadata: meta(`{"k":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`)}, broken: []string{"metadata depth"}},
		"metadata holds a small number":            {change: Change{Metadata: meta(`{"k":1e-308}`)}},
		"metadata holds none with many digits":     {change: Change{Metadata: meta(`{"k":1` + strings.Repeat("1", 200) + `e-16200}`)}, broken: []string{"metadata number"}},
		"metadata holds none too close to nought":  {change: Change{Metadata: meta(`{"k":1e-20000}`)}, broken: []string{"metadata number"}},
		"metadata holds no odd nought":             {change: Change{Metadata: meta(`{"k":0e99999999999999999999}`)}, broken: []string{"metadata number"}},
		"metadata holds no character nought":       {change: Change{Metadata: meta(`{"k":"a\u0000"}`)}, broken: []string{"metadata text"}},
		"a key of metadata holds none either":      {change: Change{Metadata: meta(`{"\u0000":1}`)}, broken: []string{"metadata text"}},
		"metadata holds no boundless number":       {change: Change{Metadata: meta(`{"k":1e999999}`)}, broken: []string{"metadata number"}},
		"metadata keeps any other JSON":            {change: Change{Metadata: meta(`{"a":null,"b":[true,-1.5e10,"é"],"c":{}}`)}},
		"everything that is wrong is said at once": {change: Change{Title: optional.Of(""), DifficultyLevel: optional.Of(11), Metadata: meta(`1`)}, broken: []string{"title required", "difficultyLevel max", "metadata wrong_type"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !tc.change.Title.Set {
				tc.change.Title = optional.Of("Prelude")
			}
			err := check(rules, tc.change.applyTo(defaults()))
			var broken []string
			if err != nil {
				for _, d := range fault.Of(err).Details {
					broken = append(broken, d.Field+" "+d.Code)
				}
			}
			if diff := cmp.Diff(tc.broken, broken); diff != "" {
				t.Errorf("broken rules (-want +got):\n%s", diff)
			}
		})
	}
}
