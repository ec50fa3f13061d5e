package objects_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/chassis/objects/s3server"
)

// credentials writes a file as the SDK reads it.
func credentials(t *testing.T, path, key, secret string) {
	t.Helper()
	text := "[default]\naws_access_key_id = " + key + "\naws_secret_access_key = " + secret + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The SDK reads the file when the bucket is opened, and never again by itself.
func TestCredentialsOfABucketRotate(t *testing.T) {
	server, file := s3server.Start(t), filepath.Join(t.TempDir(), "credentials")
	first := server.Env()
	credentials(t, file, first[0][1], first[1][1])
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	bucket, err := objects.Open(t.Context(), server.URL(), objects.Once)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()

	server.Stop()
	server.Restart(t, "another-key", "another-secret")
	credentials(t, file, "another-key", "another-secret")
	if err := bucket.Write(t.Context(), "incoming/1", strings.NewReader("waltz"), 5); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
}

func TestCredentialsThatAreNoneAreNamed(t *testing.T) {
	server, file := s3server.Start(t), filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	for name, text := range map[string]string{
		"half of them": "[default]\naws_secret_access_key = hunter2\n",
		"none at all":  "[default]\nregion = us-east-1\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		bucket, err := objects.Open(t.Context(), server.URL(), objects.Once)
		if err == nil {
			_, err = bucket.Exists(t.Context(), "incoming/1")
			_ = bucket.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "profile default") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want it to name the profile, and no secret", name, err)
		}
	}
}

func TestPlacesThatAreNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{
		"files", "ftp://user:hunter2@host/x", file, "s3://", "s3://key:hunter2@files?region=eu-central-1", "s3://files/hunt?region=eu-central-1", "s3://files?secret=hunter2",
	} {
		bucket, err := objects.Open(t.Context(), where, objects.Once)
		if err == nil {
			_ = bucket.Close()
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error without the password", where, err)
		}
	}
}

// refusing answers everything as a storage that does not want to.
func refusing(t *testing.T, status int, code string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>No.</Message></Error>"))
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	return "s3://files?region=us-east-1&use_path_style=true&disable_https=true&endpoint=" + server.URL
}

func TestReasons(t *testing.T) {
	started := func(change func(t *testing.T, server *s3server.Server) string) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			return change(t, s3server.Start(t))
		}
	}
	for name, tc := range map[string]struct {
		where  func(t *testing.T) string
		want   objects.Reason
		detail string
	}{
		"no such bucket": {started(func(_ *testing.T, server *s3server.Server) string {
			return strings.Replace(server.URL(), "s3://files", "s3://nothing", 1)
		}), objects.NoBucket, "NoSuchBucket"},
		"an unknown key": {started(func(t *testing.T, server *s3server.Server) string {
			t.Helper()
			t.Setenv("AWS_ACCESS_KEY_ID", "unknown")
			return server.URL()
		}), objects.BadCredentials, "access key"},
		"a wrong secret": {started(func(t *testing.T, server *s3server.Server) string {
			t.Helper()
			t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
			return server.URL()
		}), objects.BadCredentials, "SignatureDoesNotMatch"},
		"nobody there": {started(func(_ *testing.T, server *s3server.Server) string {
			server.Stop()
			return server.URL()
		}), objects.Unreachable, "connection refused"},
		"no credentials": {started(func(t *testing.T, server *s3server.Server) string {
			t.Helper()
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
			return server.URL()
		}), objects.NoCredentials, "reading the credentials"},
		"not allowed": {func(t *testing.T) string { t.Helper(); return refusing(t, http.StatusForbidden, "AccessDenied") }, objects.Denied, "AccessDenied: No."},
		"another region": {func(t *testing.T) string {
			t.Helper()
			return refusing(t, http.StatusBadRequest, "AuthorizationHeaderMalformed")
		}, objects.OtherRegion, "No."},
		"a quota":        {func(t *testing.T) string { t.Helper(); return refusing(t, http.StatusForbidden, "QuotaExceeded") }, objects.Full, "QuotaExceeded"},
		"something else": {func(t *testing.T) string { t.Helper(); return refusing(t, http.StatusConflict, "Strange") }, objects.Unknown, "Strange: No."},
	} {
		t.Run(name, func(t *testing.T) {
			bucket, err := objects.Open(t.Context(), tc.where(t), objects.Once)
			if err != nil {
				t.Fatal(err)
			}
			defer bucket.Close()
			_, reading := bucket.Read(t.Context(), "a")
			for act, err := range map[string]error{
				"listing": bucket.List(t.Context(), "", nil), "writing": bucket.Write(t.Context(), "a", strings.NewReader("x"), 1), "reading": reading,
			} {
				if got := objects.ReasonOf(err); got != tc.want || !strings.Contains(objects.Detail(err), tc.detail) {
					t.Errorf("%s: reason %d, detail %q; want %d, %q (%v)", act, got, objects.Detail(err), tc.want, tc.detail, err)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s tells the secret: %v", act, err)
				}
			}
		})
	}
}
