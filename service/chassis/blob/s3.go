package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	cloud "gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// credentialsAge is for how long credentials of a file are used before it is read again. A rotation is safe if the old ones are
// still good for that long.
const credentialsAge = 10 * time.Second

// openS3 opens the bucket of an s3:// URL.
func openS3(ctx context.Context, where string) (*bucket, error) {
	parsed, err := url.Parse(where)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL", withoutSecrets(where))
	}
	opener := &s3blob.URLOpener{}
	opened, err := opener.OpenBucketURL(ctx, parsed)
	if err != nil {
		return nil, err
	}
	var client *s3.Client
	if !opened.As(&client) {
		return nil, fmt.Errorf("%T is no client of S3", opened)
	}
	_ = opened.Close() // nothing was asked of it
	credentials := client.Options().Credentials
	if from := credentialsFile(parsed.Query(), os.Getenv); from != nil {
		credentials = aws.NewCredentialsCache(from)
	}
	again := func(more ...func(*s3.Options)) (*s3.Client, *cloud.Bucket, error) {
		client := s3.New(client.Options(), append(more, func(o *s3.Options) {
			o.Credentials = credentials
			o.Logger = logging.Nop{} // what it says is no line of our log
		})...)
		opened, err := s3blob.OpenBucket(ctx, client, parsed.Host, &opener.Options)
		return client, opened, err
	}
	// What is sent in parts cannot be sent again as a whole, so a part is. All else is tried again by whoever calls.
	_, writing, err := again()
	if err != nil {
		return nil, err
	}
	client, asking, err := again(func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		return nil, err
	}
	return &bucket{Bucket: asking, writing: writing, abandon: func(ctx context.Context, before time.Time) (int, error) {
		return abortUploads(ctx, client, parsed.Host, before)
	}}, nil
}

// credentialsFrom is a file in which credentials are, and the profile that has them. The SDK reads it only once.
type credentialsFrom struct{ file, profile string }

// credentialsFile returns the file in which the SDK would find credentials, nil if it takes others.
func credentialsFile(params url.Values, env func(string) string) aws.CredentialsProvider {
	file := env("AWS_SHARED_CREDENTIALS_FILE")
	if file == "" || env("AWS_ACCESS_KEY_ID") != "" || params.Has("role") || params.Has("anonymous") {
		return nil
	}
	return credentialsFrom{file, cmp.Or(params.Get("profile"), env("AWS_PROFILE"), config.DefaultSharedConfigProfile)}
}

// Retrieve implements aws.CredentialsProvider.
func (f credentialsFrom) Retrieve(ctx context.Context) (aws.Credentials, error) {
	profile, err := config.LoadSharedConfigProfile(ctx, f.profile, func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{f.file}, []string{}
	})
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("reading the credentials of the storage: %w", err)
	}
	if !profile.Credentials.HasKeys() {
		return aws.Credentials{}, fmt.Errorf("the profile %s in %s has no aws_access_key_id and aws_secret_access_key", f.profile, f.file)
	}
	profile.Credentials.CanExpire, profile.Credentials.Expires = true, time.Now().Add(credentialsAge)
	return profile.Credentials, nil
}

// abortUploads removes the parts of uploads that began before the time and were neither completed nor aborted, as those of a
// process that was killed. A storage that does not let us look has to remove them by a rule of its own.
func abortUploads(ctx context.Context, client *s3.Client, name string, before time.Time) (int, error) {
	aborted := 0
	pages := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{Bucket: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if refused(err) {
			return aborted, nil
		}
		if err != nil {
			return aborted, fmt.Errorf("listing uploads that never ended: %w", err)
		}
		for _, u := range page.Uploads {
			if u.Initiated == nil || !u.Initiated.Before(before) || !ours(aws.ToString(u.Key)) {
				continue
			}
			_, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &name, Key: u.Key, UploadId: u.UploadId})
			if err != nil {
				return aborted, fmt.Errorf("aborting an upload that never ended: %w", err)
			}
			aborted++
		}
	}
	return aborted, nil
}

// refused reports whether a storage does not do what it was asked, rather than cannot.
func refused(err error) bool {
	answer, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains([]string{"AccessDenied", "NotImplemented", "MethodNotAllowed"}, answer.ErrorCode())
}
