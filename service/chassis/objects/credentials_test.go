package objects

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// writeCredentials writes a file as the AWS SDKs read it.
func writeCredentials(t *testing.T, path, key string) {
	t.Helper()
	text := "[default]\naws_access_key_id = " + key + "\naws_secret_access_key = secret-of-" + key + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsFollowTheirFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	cache := aws.NewCredentialsCache(credentialsFile{path: path, profile: "default"}) // read again at each call
	expect := func(when, want string) {
		t.Helper()
		got, err := cache.Retrieve(t.Context())
		if err != nil || got.AccessKeyID != want || got.SecretAccessKey != "secret-of-"+want {
			t.Errorf("%s: credentials %s, %v; want %s", when, got.AccessKeyID, err, want)
		}
	}
	if got, err := cache.Retrieve(t.Context()); err == nil {
		t.Errorf("credentials %s without a file", got.AccessKeyID)
	}
	writeCredentials(t, path, "A")
	expect("first", "A")
	writeCredentials(t, path, "B")
	expect("exchanged", "B")
	if err := os.WriteFile(path, []byte("[other]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("a profile that is missing", "B")
	writeCredentials(t, path, "C")
	expect("mended", "C")
}

func TestABucketIsOpenedWithCredentialsOfAFileAndAPrefix(t *testing.T) {
	var signature, asked atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signature.Store(r.Header.Get("Authorization"))
		asked.Store(r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "credentials")
	writeCredentials(t, path, "KEY1")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	where := "s3://files?region=us-east-1&use_path_style=true&disable_https=true&prefix=a/b/&endpoint=" + server.URL
	bucket, err := Open(t.Context(), where, Once)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	if there, err := bucket.Exists(t.Context(), "x"); err != nil || there {
		t.Errorf("exists: %t, %v", there, err)
	}
	if got, _ := signature.Load().(string); !strings.Contains(got, "Credential=KEY1/") {
		t.Errorf("signed by %q, want KEY1", got)
	}
	if got, _ := asked.Load().(string); got != "/files/a/b/x" {
		t.Errorf("asked for %q", got)
	}
}

func TestPartsFitIntoAnObject(t *testing.T) {
	for most, want := range map[int64]int{
		0: 5 << 20, 1: 5 << 20, 10_000 * (5 << 20): 5 << 20, 10_000*(5<<20) + 1: 5<<20 + 1, 1 << 40: 109_951_163,
	} {
		if got := partSize(most); got != want || int64(got)*mostParts < most {
			t.Errorf("parts of %d bytes for %d, want %d", got, most, want)
		}
	}
}
