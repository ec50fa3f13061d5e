package blob_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	cloud "gocloud.dev/blob"

	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/blob/s3server"
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
	bucket, err := blob.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()

	server.Stop()
	server.Restart(t, "another-key", "another-secret")
	credentials(t, file, "another-key", "another-secret")
	if err := bucket.Write(t.Context(), "incoming/1", strings.NewReader("waltz")); err != nil {
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
		bucket, err := blob.Open(t.Context(), server.URL())
		if err == nil {
			_, err = bucket.Exists(t.Context(), "incoming/1")
			_ = bucket.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "profile default") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want it to name the profile, and no secret", name, err)
		}
	}
}

// A process that is killed while it sends the parts of a file leaves them where no listing shows them.
func TestSweepRemovesPartsOfUploadsThatNeverEnded(t *testing.T) {
	server := s3server.Start(t)
	w := newWorldAt(t, server.URL()+"&prefix=library/", server.Dir(), nil)
	opened, err := cloud.OpenBucket(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	var client *s3.Client
	if !opened.As(&client) {
		t.Fatal("the bucket is not one of S3")
	}
	for _, key := range []string{"library/incoming/1", "library/elses", "incoming/1"} {
		begun, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("files"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: aws.String("files"), Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("half"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if swept, err := w.Sweep(t.Context(), time.Hour); err != nil || swept != (blob.Swept{}) {
		t.Errorf("within the grace: %+v (%v), want nothing swept", swept, err)
	}
	if swept, err := w.Sweep(t.Context(), -time.Minute); err != nil || swept != (blob.Swept{Strays: 1}) {
		t.Errorf("swept %+v (%v), want the one upload that is ours", swept, err)
	}
}
