package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	cloud "gocloud.dev/blob"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/chassis/objects/s3server"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestWhatIsDeadInABucket(t *testing.T) {
	at := func(minutes int) time.Time { return time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC) }
	for name, tc := range map[string]struct {
		all            []stored
		dead, outlived []string
	}{
		"nothing":                          {},
		"one at work":                      {all: []stored{{"a", aliveFile, at(50)}, {"a", dumpFile, at(1)}}},
		"one that has just begun":          {all: []stored{{"a", aliveFile, at(30)}}},
		"one that was killed":              {all: []stored{{"a", aliveFile, at(29)}, {"a", dumpFile, at(1)}}, dead: []string{"a"}},
		"killed before its dump":           {all: []stored{{"b", aliveFile, at(0)}, {"a", aliveFile, at(0)}}, dead: []string{"a", "b"}},
		"a dump whose manifest was taken":  {all: []stored{{"a", dumpFile, at(1)}}, dead: []string{"a"}},
		"a dump that has just been taken":  {all: []stored{{"a", dumpFile, at(31)}}},
		"a backup":                         {all: []stored{{"a", dumpFile, at(1)}, {"a", manifestFile, at(2)}}},
		"a backup whose run ended at once": {all: []stored{{"a", aliveFile, at(1)}, {"a", dumpFile, at(1)}, {"a", manifestFile, at(2)}}, outlived: []string{"a"}},
		"a backup whose run ends":          {all: []stored{{"a", aliveFile, at(40)}, {"a", dumpFile, at(1)}, {"a", manifestFile, at(41)}}},
		"a manifest without a dump":        {all: []stored{{"a", manifestFile, at(2)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.dead, dead(tc.all, at(30))); diff != "" {
				t.Errorf("dead (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.outlived, outlived(tc.all, at(30))); diff != "" {
				t.Errorf("outlived (-want +got):\n%s", diff)
			}
		})
	}
}

func inABucket(t *testing.T) (*s3server.Server, place) {
	t.Helper()
	server := s3server.Start(t)
	return server, place{server.URL() + "&prefix=production/", filepath.Join(server.Dir(), "production")}
}

func TestSweepOfABucket(t *testing.T) {
	server, place := inABucket(t)
	in := place.open(t)
	killed, done := beginDraft(t, in, "waltz"), beginDraft(t, in, "polka")
	publish(t, done)
	for _, foreign := range []string{"notes/dump", done.name() + "/notes"} {
		path := filepath.Join(place.dir, foreign)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	place.age(t, grace-time.Minute)
	live := beginDraft(t, in, "")
	place.assertFiles(t, killed.name()+"/alive", killed.name()+"/dump", live.name()+"/alive", done.name()+"/dump", done.name()+"/manifest.json", done.name()+"/notes", "notes/dump")
	place.age(t, 2*time.Minute)
	halves := []string{beginUpload(t, server, "production/"+killed.name()+"/dump"), beginUpload(t, server, "production/notes/dump"), beginUpload(t, server, killed.name()+"/dump")}
	ageUploads(t, server, 2*grace)
	next := beginDraft(t, in, "")
	place.assertFiles(t, live.name()+"/alive", next.name()+"/alive", done.name()+"/dump", done.name()+"/manifest.json", done.name()+"/notes", "notes/dump")
	if diff := cmp.Diff(slices.Sorted(slices.Values(halves[1:])), uploads(t, server)); diff != "" {
		t.Errorf("uploads (-want +got):\n%s", diff)
	}
	for _, d := range []draft{killed, live, next} {
		if err := d.discard(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func clientOf(t *testing.T, server *s3server.Server) *s3.Client {
	t.Helper()
	opened, err := cloud.OpenBucket(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	var client *s3.Client
	if !opened.As(&client) {
		t.Fatal("the bucket is not one of S3")
	}
	return client
}

// beginUpload is what a process does that is killed while it sends the parts of an object.
func beginUpload(t *testing.T, server *s3server.Server, key string) string {
	t.Helper()
	client := clientOf(t, server)
	begun, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("files"), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String("files"), Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("half"),
	}); err != nil {
		t.Fatal(err)
	}
	return aws.ToString(begun.UploadId)
}

func uploads(t *testing.T, server *s3server.Server) (ids []string) {
	t.Helper()
	listed, err := clientOf(t, server).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("files")})
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range listed.Uploads {
		ids = append(ids, aws.ToString(each.UploadId))
	}
	slices.Sort(ids)
	return ids
}

// ageUploads makes them older, as the server sees them: by their directories.
func ageUploads(t *testing.T, server *s3server.Server, by time.Duration) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(server.Dir(), ".sgwtmp", "multipart", "*", "*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no uploads are found: %v", err)
	}
	for _, path := range all {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
}

// A run that cannot reach its bucket for long is taken for dead by another.
func TestARunThatWasTakenForDeadPublishesNothing(t *testing.T) {
	_, place := inABucket(t)
	in := place.open(t)
	slow := beginDraft(t, in, "waltz")
	place.age(t, 2*grace)
	quick := beginDraft(t, in, "polka")
	mustFail(t, slow.publish(t.Context(), manifestOf(slow)), contract.StorageUnavailable, "another run has removed what this one had written: run again")
	if err := slow.discard(t.Context()); err != nil {
		t.Error(err)
	}
	publish(t, quick)
	place.assertFiles(t, quick.name()+"/dump", quick.name()+"/manifest.json")
}

func TestARunLetsOthersKnowThatItIsAtWork(t *testing.T) {
	_, place := inABucket(t)
	in := place.open(t).(*bucket)
	in.beat = time.Millisecond
	d := beginDraft(t, in, "waltz")
	place.age(t, 2*grace)
	alive := filepath.Join(place.dir, d.name(), aliveFile)
	for deadline := time.Now().Add(time.Minute); ; {
		if info, err := os.Stat(alive); err == nil && time.Since(info.ModTime()) < grace {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it was not written again")
		}
		time.Sleep(time.Millisecond)
	}
	other := beginDraft(t, place.open(t), "")
	publish(t, d)
	if err := other.discard(t.Context()); err != nil {
		t.Error(err)
	}
	place.assertFiles(t, d.name()+"/dump", d.name()+"/manifest.json")
}

func TestADumpThatTheBucketChangesIsNoBackup(t *testing.T) {
	_, place := inABucket(t)
	in := place.open(t)
	r := newRun(t, config(t, pgserver.Filled(t, "everything", fill)))
	before := r.draft
	r.storage, r.draft = in, beginDraft(t, in, "")
	database, err := r.dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(place.dir, r.draft.name(), dumpFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	mustFail(t, r.verify(t.Context(), database), contract.BackupDiffers, "the dump is damaged")
	if err := r.draft.discard(t.Context()); err != nil { // the server ends with the test, before it is cleaned up
		t.Error(err)
	}
	r.draft = before
}

// breaking is the way to a server whose answers break after some bytes, for as often as told.
func breaking(t *testing.T, server *s3server.Server, after int64, times int32) string {
	t.Helper()
	there, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	query := there.Query()
	target, err := url.Parse(query.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	var left atomic.Int32
	left.Store(times)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodGet && strings.HasSuffix(r.Request.URL.Path, "/"+dumpFile) && left.Add(-1) >= 0 {
				r.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(io.LimitReader(r.Body, after), iotest.ErrReader(errors.New("cut"))), r.Body}
			}
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	query.Set("endpoint", front.URL)
	query.Set("prefix", "production/")
	there.RawQuery = query.Encode()
	return there.String()
}

func TestADumpIsReadThroughConnectionsThatBreak(t *testing.T) {
	server, straight := inABucket(t)
	d := beginDraft(t, straight.open(t), strings.Repeat("waltz", 1<<20))
	publish(t, d)
	in := place{location: breaking(t, server, 1<<20, 3)}.open(t)
	dump, err := in.dump(t.Context(), d.name())
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, dump)
	want := sha256.Sum256([]byte(strings.Repeat("waltz", 1<<20)))
	if err != nil || size != 5<<20 || hex.EncodeToString(sum.Sum(nil)) != hex.EncodeToString(want[:]) {
		t.Errorf("read %d bytes, %v", size, err)
	}
}

func TestADumpWhoseStorageGoesAwayIsNotRead(t *testing.T) {
	server, place := inABucket(t)
	in := place.open(t)
	d := beginDraft(t, in, "")
	if err := d.write(t.Context(), 64<<20, zeros(64<<20)); err != nil {
		t.Fatal(err)
	}
	publish(t, d)
	dump, err := in.dump(t.Context(), d.name())
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	if _, err := io.CopyN(io.Discard, dump, 1); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	for range 2 { // an error stays
		_, err = io.Copy(io.Discard, dump)
		mustFail(t, err, contract.StorageUnavailable, "its storage does not answer")
	}
}

// zeros are what a dump of so many bytes is made of.
func zeros(bytes int64) func(io.Writer) error {
	return func(to io.Writer) error {
		block := make([]byte, 1<<20)
		for range bytes >> 20 {
			if _, err := to.Write(block); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestADumpIsNeverInMemory(t *testing.T) {
	_, place := inABucket(t)
	const size, bound = 384 << 20, 96 << 20
	d := beginDraft(t, place.open(t), "")
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak.Store(max(peak.Load(), now.HeapInuse))
		}
	}()
	err := d.write(t.Context(), size, zeros(size))
	var read int64
	if err == nil {
		dump, openErr := d.read(t.Context())
		if openErr != nil {
			t.Fatal(openErr)
		}
		read, err = io.Copy(io.Discard, dump)
		_ = dump.Close()
	}
	stop()
	<-watched
	if err != nil || read != size {
		t.Fatalf("read %d bytes, %v", read, err)
	}
	took := int64(peak.Load()) - int64(before.HeapInuse)
	t.Logf("%d MB of memory for a dump of %d MB", took>>20, size>>20)
	if took > bound {
		t.Errorf("want at most %d MB", bound>>20)
	}
	if err := d.discard(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBucketsThatDoNotDo(t *testing.T) {
	const secret = "hunter2"
	for name, tc := range map[string]struct {
		location func(t *testing.T, server *s3server.Server) string
		want     string
	}{
		"no such bucket": {func(_ *testing.T, server *s3server.Server) string {
			return strings.Replace(server.URL(), "s3://files", "s3://nothing", 1)
		}, "the bucket of backups, nothing: it does not exist: make it, or correct its name, region or endpoint in --location"},
		"wrong credentials": {func(t *testing.T, server *s3server.Server) string {
			t.Helper()
			t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
			return server.URL()
		}, "put valid ones into the file that AWS_SHARED_CREDENTIALS_FILE names"},
		"no credentials": {func(t *testing.T, server *s3server.Server) string {
			t.Helper()
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
			return server.URL()
		}, "let AWS_SHARED_CREDENTIALS_FILE name a file with a profile that has keys"},
		"away": {func(_ *testing.T, server *s3server.Server) string {
			server.Stop()
			return server.URL()
		}, "its storage does not answer (dial tcp"},
		"listing denied": {func(t *testing.T, server *s3server.Server) string {
			t.Helper()
			return denying(t, server, http.MethodGet)
		}, "listing is denied to its credentials: grant them s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject"},
		"writing denied": {func(t *testing.T, server *s3server.Server) string {
			t.Helper()
			return denying(t, server, http.MethodPut)
		}, "writing is denied to its credentials"},
		"a path":            {func(*testing.T, *s3server.Server) string { return "s3://files/production?region=eu-central-1" }, "?prefix=production/; correct --location"},
		"half a prefix":     {func(*testing.T, *s3server.Server) string { return "s3://files?region=eu-central-1&prefix=production" }, "as in prefix=production/; correct --location"},
		"credentials in it": {func(*testing.T, *s3server.Server) string { return "s3://key:" + secret + "@files?region=eu-central-1" }, "a URL holds no credentials"},
		"what is unknown":   {func(*testing.T, *s3server.Server) string { return "s3://files?regoin=eu-central-1" }, "regoin"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "postgres://a:b@127.0.0.1:1/c") // nobody has asked the database yet
			cfg.Location = tc.location(t, s3server.Start(t))
			report, err := Run(t.Context(), cfg)
			mustFail(t, err, contract.StorageUnavailable, tc.want)
			text, encodeErr := FitReport(report, 4096)
			if report.Verified || report.Name != "" || encodeErr != nil || strings.Contains(string(text), secret) || strings.Contains(err.Error(), "\n") {
				t.Errorf("report %s, %v", text, err)
			}
			assertEmpty(t, cfg.Scratch)
		})
	}
}

// denying is the way to a server that does not allow a method.
func denying(t *testing.T, server *s3server.Server, method string) string {
	t.Helper()
	there, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	query := there.Query()
	target, err := url.Parse(query.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			proxy.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
	}))
	t.Cleanup(front.Close)
	query.Set("endpoint", front.URL)
	there.RawQuery = query.Encode()
	return there.String()
}

func TestBucketProblems(t *testing.T) {
	for name, tc := range map[string]struct {
		reason objects.Reason
		want   string
	}{
		"another region":  {objects.OtherRegion, "it is in another region (D: e f): name that in --location, as region=REGION"},
		"full":            {objects.Full, "there is no room in it (D: e f): raise its quota, or keep fewer backups"},
		"something else":  {objects.Unknown, "writing failed (D: e f): look at the storage, and run again"},
		"nobody answers":  {objects.Unreachable, "its storage does not answer (D: e f): look whether it runs, and whether endpoint in --location and the way there are right"},
		"bad credentials": {objects.BadCredentials, "its storage refuses the credentials (D: e f): put valid ones into the file that AWS_SHARED_CREDENTIALS_FILE names"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, bucketProblem("writing", tc.reason, "D: e\nf")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
