package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// waltz is a file of MusicXML of a few measures. Two with different titles have different contents.
func waltz(title string) string {
	note := func(step string) string {
		return `<note><pitch><step>` + step + `</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>`
	}
	return `<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="4.0"><work><work-title>` + title + `</work-title></work>
<identification><creator type="composer">Ludwig van Beethoven</creator></identification>
<part-list><score-part id="P1"><part-name>Piano</part-name><score-instrument id="I1"><instrument-name>Piano</instrument-name><instrument-sound>keyboard.piano</instrument-sound></score-instrument></score-part></part-list>
<part id="P1"><measure number="1"><attributes><divisions>1</divisions><key><fifths>1</fifths><mode>major</mode></key><time><beats>3</beats><beat-type>4</beat-type></time><clef><sign>G</sign><line>2</line></clef></attributes>` +
		note("G") + note("B") + note("D") + `</measure><measure number="2">` + note("A") + note("C") + note("E") + `</measure></part></score-partwise>`
}

// upload is a file on its way; the zero values of the fields after content are left out or usual.
type upload struct {
	name, content, mediaType string
	field                    string
	cut                      int // bytes of the form that are not sent
}

// form is the body of an upload and its content type.
func (u upload) form(t testing.TB) (string, string) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if u.field == "" {
		u.field = "file"
	}
	head := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, u.field, u.name)}}
	if u.mediaType != "" {
		head.Set("Content-Type", u.mediaType)
	}
	part, err := w.CreatePart(head)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, u.content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body.String()[:body.Len()-u.cut], w.FormDataContentType()
}

func (l *library) upload(t testing.TB, id auth.Identity, score string, u upload, headers ...string) reply {
	t.Helper()
	body, contentType := u.form(t)
	return l.as(t, id, http.MethodPost, "/api/scores/"+score+"/versions", body, append(headers, "Content-Type", contentType)...)
}

// fileVersion is what is asked of a version here.
type fileVersion struct {
	ID, ScoreID, State, Reason, SHA256, FileName, MediaType, TaskID string
	Number                                                          int
	Size                                                            int64
}

// accepted is an answer to an upload.
type accepted struct {
	Success               bool
	Message, TaskID, Code string
	Data                  fileVersion
}

func decoded[T any](t testing.TB, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// openWithFiles runs a service that keeps files in a directory.
func openWithFiles(t testing.TB, change func(*Config)) (*library, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	return open(t, func(c *Config) {
		c.Storage = dir
		if change != nil {
			change(c)
		}
	}), dir
}

// score adds a score and returns its ID.
func (l *library) score(t testing.TB, id auth.Identity, visibility string) string {
	t.Helper()
	r := l.as(t, id, http.MethodPost, "/api/scores", `{"title":"Waltz","visibility":"`+visibility+`"}`)
	if r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	return strings.TrimPrefix(r.header.Get("Location"), "/api/scores/")
}

// uploaded adds a file and waits until it was read.
func (l *library) uploaded(t testing.TB, id auth.Identity, score string, u upload) fileVersion {
	t.Helper()
	r := l.upload(t, id, score, u)
	if r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	a := decoded[accepted](t, r)
	l.awaitTask(t, id, a.TaskID, "completed")
	return a.Data
}

// task is what is asked of a task here.
type task struct {
	Data struct {
		State, Reason string
		Progress      int
	}
}

func (l *library) awaitTask(t testing.TB, id auth.Identity, taskID, state string) task {
	t.Helper()
	var got task
	eventually(t, "the task is "+state, func() bool {
		got = decoded[task](t, l.as(t, id, http.MethodGet, "/api/tasks/"+taskID, ""))
		if got.Data.State != state && (got.Data.State == "failed" || got.Data.State == "completed") {
			t.Fatalf("the task has ended as %+v, want %s", got.Data, state)
		}
		return got.Data.State == state
	})
	return got
}

// filesIn counts the files below a directory.
func filesIn(t testing.TB, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}

func TestC12UploadIsAcceptedAndTheScoreLearnsWhatIsInIt(t *testing.T) {
	l, dir := openWithFiles(t, nil)
	id := l.score(t, alice, "private")
	r := l.upload(t, alice, id, upload{name: `C:\music\waltz.musicxml`, content: waltz("A"), mediaType: "application/vnd.recordare.musicxml+xml"})
	a := decoded[accepted](t, r)
	if r.status != http.StatusAccepted || !a.Success || a.Message != "Request accepted for processing" || a.TaskID == "" ||
		r.header.Get("Location") != "/api/tasks/"+a.TaskID {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	if a.Data.FileName != "waltz.musicxml" || a.Data.Number != 1 || a.Data.State != "pending" || a.Data.Size != int64(len(waltz("A"))) {
		t.Errorf("version %+v", a.Data)
	}
	if got := l.awaitTask(t, alice, a.TaskID, "completed"); got.Data.Progress != 100 {
		t.Errorf("progress %d", got.Data.Progress)
	}
	got := decoded[struct {
		Data struct {
			Composer, KeySignature, TimeSignature, Instrument string
			DurationSeconds, DifficultyLevel                  int
			Analysis                                          struct {
				VersionID string
				Music     struct {
					Title           string
					Measures, Notes int
				}
			}
		}
	}](t, l.as(t, alice, http.MethodGet, "/api/scores/"+id, "")).Data
	if got.Composer != "Ludwig van Beethoven" || got.KeySignature != "G major" || got.TimeSignature != "3/4" || got.Instrument != "piano" ||
		got.DurationSeconds != 3 || got.DifficultyLevel < 1 {
		t.Errorf("the score has learned %+v", got)
	}
	if m := got.Analysis.Music; m.Title != "A" || m.Measures != 2 || m.Notes != 6 || got.Analysis.VersionID != a.Data.ID {
		t.Errorf("analysis %+v", got.Analysis)
	}
	if n := filesIn(t, dir); n != 1 {
		t.Errorf("%d files are stored, want one", n)
	}
	if r := l.as(t, bob, http.MethodGet, "/api/tasks/"+a.TaskID, ""); r.status != http.StatusNotFound {
		t.Errorf("another's task: %d", r.status)
	}
	again := l.upload(t, alice, id, upload{name: "again.xml", content: waltz("A")})
	if same := decoded[accepted](t, again); again.status != http.StatusOK || same.Data.ID != a.Data.ID {
		t.Errorf("the same content once more: %d %s", again.status, again.body)
	}
	other := l.uploaded(t, alice, l.score(t, alice, "private"), upload{name: "copy.xml", content: waltz("A")})
	if n := filesIn(t, dir); n != 1 || other.SHA256 != a.Data.SHA256 {
		t.Errorf("%d files are stored of one content, want one", n)
	}
}

func TestC55PrivateFilesAreKeptNowhereAndPublicOnesForEver(t *testing.T) {
	l, _ := openWithFiles(t, nil)
	path := func(score string, v fileVersion) string {
		return "/api/scores/" + score + "/versions/" + v.ID + "/content"
	}
	secret, open := l.score(t, alice, "private"), l.score(t, alice, "public")
	hidden := path(secret, l.uploaded(t, alice, secret, upload{name: "a.xml", content: waltz("A")}))
	shown := path(open, l.uploaded(t, alice, open, upload{name: "Wält.xml", content: waltz("B")}))

	for who, id := range map[string]auth.Identity{"nobody": nobody, "another": bob} {
		for _, p := range []string{hidden, strings.TrimSuffix(hidden, "/content"), "/api/scores/" + secret + "/versions", "/api/scores/" + secret + "/incipit.svg"} {
			if r := l.as(t, id, http.MethodGet, p, ""); r.status != http.StatusNotFound {
				t.Errorf("%s reads %s: %d", who, p, r.status)
			}
		}
	}
	r := l.as(t, alice, http.MethodGet, hidden, "")
	if c := r.header.Get("Cache-Control"); r.status != http.StatusOK || r.body != waltz("A") || c != "private, no-cache" {
		t.Errorf("one's own: %d %s", r.status, c)
	}
	r = l.as(t, nobody, http.MethodGet, shown, "")
	sum := sha256.Sum256([]byte(waltz("B")))
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	if c := r.header.Get("Cache-Control"); r.status != http.StatusOK || r.body != waltz("B") || c != "public, max-age=31536000, immutable" {
		t.Errorf("a public one: %d %s", r.status, c)
	}
	if r.header.Get("ETag") != etag || r.header.Get("Content-Type") != "application/vnd.recordare.musicxml+xml" ||
		r.header.Get("Content-Disposition") != "attachment; filename*=utf-8''W%C3%A4lt.xml" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", r.header)
	}
	if r := l.as(t, nobody, http.MethodGet, shown, "", "If-None-Match", etag); r.status != http.StatusNotModified {
		t.Errorf("one that the client has: %d", r.status)
	}
	r = l.as(t, nobody, http.MethodGet, shown, "", "Range", "bytes=5-9", "If-Range", etag)
	if r.status != http.StatusPartialContent || r.body != waltz("B")[5:10] {
		t.Errorf("a part: %d %q", r.status, r.body)
	}
	if r := l.as(t, nobody, http.MethodHead, shown, ""); r.status != http.StatusOK || r.header.Get("Content-Length") != fmt.Sprint(len(waltz("B"))) {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}

	made := decoded[struct {
		Data struct {
			URL       string
			ExpiresAt time.Time
		}
	}](t, l.as(t, alice, http.MethodPost, strings.TrimSuffix(hidden, "content")+"links", `{"seconds":600}`)).Data
	r = l.as(t, nobody, http.MethodGet, made.URL, "")
	if c := r.header.Get("Cache-Control"); r.status != http.StatusOK || r.body != waltz("A") || c != "no-store" {
		t.Errorf("by a link: %d %s", r.status, c)
	}
	for what, url := range map[string]string{
		"another file":  strings.Replace(made.URL, hidden, shown, 1),
		"another time":  strings.Replace(made.URL, "expires=", "expires=1", 1),
		"no signature":  hidden + "?expires=99999999999",
		"half a link":   hidden + "?signature=AAAA",
		"not signature": strings.Replace(made.URL, "signature=", "signature=%20", 1),
	} {
		if r := l.as(t, nobody, http.MethodGet, url, ""); r.status != http.StatusForbidden {
			t.Errorf("a link of %s: %d %s", what, r.status, r.body)
		}
	}
	if r := l.as(t, bob, http.MethodPost, strings.TrimSuffix(hidden, "content")+"links", ""); r.status != http.StatusNotFound {
		t.Errorf("another makes a link: %d", r.status)
	}
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(l.log.String(), made.URL[strings.Index(made.URL, "signature=")+len("signature="):]) {
		t.Error("the log shows the signature of a link")
	}
}

func TestFilesThatAreNotWhatTheySay(t *testing.T) {
	l, dir := openWithFiles(t, func(c *Config) { c.FileSizeMiB, c.FileQuotaMiB = 1, 2 })
	id := l.score(t, alice, "public")
	xml := waltz("A")
	for name, tc := range map[string]struct {
		who    auth.Identity
		upload upload
		status int
		code   string
	}{
		"nobody":                     {nobody, upload{name: "a.xml", content: xml}, 401, "AUTHENTICATION_ERROR"},
		"another user":               {bob, upload{name: "a.xml", content: xml}, 403, "AUTHORIZATION_ERROR"},
		"empty":                      {alice, upload{name: "a.xml"}, 400, "VALIDATION_ERROR"},
		"without a name":             {alice, upload{content: xml}, 400, "VALIDATION_ERROR"},
		"in another part":            {alice, upload{name: "a.xml", content: xml, field: "photo"}, 400, "VALIDATION_ERROR"},
		"of an unknown kind":         {alice, upload{name: "a.exe", content: xml}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		"declared as something else": {alice, upload{name: "a.xml", content: xml, mediaType: "application/pdf"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		"with another content":       {alice, upload{name: "a.mxl", content: xml}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		"of XML that is no music":    {alice, upload{name: "a.xml", content: `<svg xmlns="x"></svg>`}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		"broken off":                 {alice, upload{name: "a.xml", content: xml, cut: 200}, 400, "VALIDATION_ERROR"},
		"too large":                  {alice, upload{name: "a.xml", content: xml + strings.Repeat(" ", 1<<20)}, 413, "PAYLOAD_TOO_LARGE"},
		"far too large":              {alice, upload{name: "a.xml", content: xml + strings.Repeat(" ", 2<<20)}, 413, "PAYLOAD_TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			r := l.upload(t, tc.who, id, tc.upload)
			if got := decoded[accepted](t, r); r.status != tc.status || got.Code != tc.code {
				t.Errorf("%d %s, want %d %s", r.status, r.body, tc.status, tc.code)
			}
		})
	}
	if n := filesIn(t, dir); n != 0 {
		t.Errorf("%d files are left of what was refused", n)
	}
	big := func(title string) upload {
		return upload{name: "a.xml", content: waltz(title) + strings.Repeat(" ", 1<<20-2000)}
	}
	l.uploaded(t, alice, id, big("1"))
	second := l.uploaded(t, alice, id, big("2"))
	if r := l.upload(t, alice, id, big("3")); r.status != 413 || !strings.Contains(r.body, "together") {
		t.Errorf("beyond the quota: %d %s", r.status, r.body)
	}
	if r := l.as(t, alice, http.MethodDelete, "/api/scores/"+id+"/versions/"+second.ID, ""); r.status != 204 {
		t.Errorf("removing: %d %s", r.status, r.body)
	}
	l.uploaded(t, alice, id, big("3"))
	if r := l.as(t, alice, http.MethodGet, "/api/files/usage", ""); !strings.Contains(r.body, `"files":2`) {
		t.Errorf("usage %s", r.body)
	}
}

func TestFileThatCannotBeReadFailsWithAReason(t *testing.T) {
	l, _ := openWithFiles(t, nil)
	id := l.score(t, alice, "private")
	content := strings.Replace(waltz("A"), "</measure></part></score-partwise>", "", 1)
	r := l.upload(t, alice, id, upload{name: "a.xml", content: content})
	a := decoded[accepted](t, r)
	ended := l.awaitTask(t, alice, a.TaskID, "failed")
	got := decoded[struct{ Data []fileVersion }](t, l.as(t, alice, http.MethodGet, "/api/scores/"+id+"/versions", "")).Data
	if len(got) != 1 || got[0].State != "failed" || got[0].Reason == "" || got[0].Reason != ended.Data.Reason {
		t.Errorf("versions %+v, task %+v", got, ended)
	}
}

func TestWithoutAStorageThereAreNoFilesAndAllElseWorks(t *testing.T) {
	l := open(t, nil)
	id := l.score(t, alice, "public")
	if r := l.upload(t, alice, id, upload{name: "a.xml", content: waltz("A")}); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "not set up") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := l.as(t, nobody, http.MethodGet, "/api/scores/"+id+"/versions", ""); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestC66DeadJobsAreSeenAndTriedAgainByAnAdmin(t *testing.T) {
	l, dir := openWithFiles(t, nil)
	id := l.score(t, alice, "private")
	bad := "<?xml version='1.0'?><score-partwise></score-partwise>"
	r := l.upload(t, alice, id, upload{name: "a.xml", content: bad + strings.Repeat(" ", len(waltz("A"))-len(bad))})
	a := decoded[accepted](t, r)
	l.awaitTask(t, alice, a.TaskID, "failed")
	list := func(who auth.Identity) reply {
		return l.as(t, who, http.MethodGet, "/api/admin/jobs?standing=refused", "")
	}
	if r := list(alice); r.status != http.StatusForbidden {
		t.Errorf("a user sees jobs: %d", r.status)
	}
	type row struct {
		ID             int64
		Kind, Standing string
		TaskID, Error  string
	}
	var found []row
	eventually(t, "the job has ended", func() bool {
		found = decoded[struct{ Data []row }](t, list(admin)).Data
		return len(found) > 0
	})
	if len(found) != 1 || found[0].Kind != "analyse" || found[0].TaskID != a.TaskID || found[0].Error == "" {
		t.Fatalf("jobs %+v", found)
	}
	// Meanwhile the file has become readable, as after a mended release.
	overwrite(t, dir, waltz("A"))
	if r := l.as(t, admin, http.MethodPost, fmt.Sprintf("/api/admin/jobs/%d/retry", found[0].ID), ""); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	eventually(t, "the task is completed", func() bool {
		return decoded[task](t, l.as(t, alice, http.MethodGet, "/api/tasks/"+a.TaskID, "")).Data.State == "completed"
	})
	if r := l.as(t, admin, http.MethodPost, fmt.Sprintf("/api/admin/jobs/%d/retry", found[0].ID), ""); r.status != http.StatusConflict {
		t.Errorf("a job that was done: %d %s", r.status, r.body)
	}
	if r := l.as(t, admin, http.MethodGet, "/api/admin/audit", ""); !strings.Contains(r.body, "job.retry") {
		t.Errorf("the audit log lacks it: %s", r.body)
	}
	metrics := l.send(t, http.MethodGet, l.ops+"/metrics", "").body
	for _, want := range []string{`jobs_attempts_total{kind="analyse",outcome="refused"} 1`, `jobs_attempts_total{kind="analyse",outcome="completed"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// overwrite replaces the content of the only file below a directory.
func overwrite(t testing.TB, dir, content string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.WriteFile(path, []byte(content), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
