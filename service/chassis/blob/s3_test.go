package blob_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	cloud "gocloud.dev/blob"

	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/objects/s3server"
)

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
