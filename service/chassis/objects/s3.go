package objects

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	cloud "gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	_ "golang.org/x/crypto/x509roots/fallback" // images hold no certificates of authorities, and most buckets are behind https
)

// openS3 opens the bucket of an s3:// URL.
func openS3(ctx context.Context, where string, calls Calls) (*bucket, error) {
	parsed, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("the URL of the storage cannot be read") // its text may hold a secret
	}
	if err := checkURL(parsed); err != nil {
		return nil, err
	}
	parameters := parsed.Query()
	prefix := parameters.Get("prefix")
	parameters.Del("prefix") // which every kind of bucket takes, so that the opener of this one does not
	parsed.RawQuery = parameters.Encode()
	opener := &s3blob.URLOpener{}
	options, err := optionsOf(ctx, opener, parsed)
	if err != nil {
		return nil, err
	}
	// The opener keeps in its options what the URL says of encryption.
	open := func(client *s3.Client) (*cloud.Bucket, error) {
		opened, err := s3blob.OpenBucket(ctx, client, parsed.Host, &opener.Options)
		if err == nil && prefix != "" {
			opened = cloud.PrefixedBucket(opened, prefix)
		}
		return opened, err
	}
	// What is sent in parts cannot be sent again as a whole, so a part is.
	writing, err := open(s3.New(options))
	if err != nil {
		return nil, err
	}
	if calls == Once {
		options.Retryer = aws.NopRetryer{}
	}
	client := s3.New(options)
	asking, err := open(client)
	if err != nil {
		return nil, err
	}
	uploads := uploads{client: client, bucket: parsed.Host, prefix: prefix}
	return &bucket{Bucket: asking, writing: writing, abandon: uploads.abort}, nil
}

// optionsOf are those of a client as a URL without a prefix asks for it.
func optionsOf(ctx context.Context, opener *s3blob.URLOpener, where *url.URL) (s3.Options, error) {
	opened, err := opener.OpenBucketURL(ctx, where)
	if err != nil {
		// It quotes the URL, which may hold what somebody took for the place of a secret.
		return s3.Options{}, errors.New(strings.ReplaceAll(err.Error(), where.String(), scheme+where.Host))
	}
	defer func() { _ = opened.Close() }() // nothing is asked of it
	var client *s3.Client
	if !opened.As(&client) {
		return s3.Options{}, errors.New("the bucket is none of S3")
	}
	options := client.Options()
	options.Logger = logging.Nop{} // what the SDK says is no line of our log
	if credentials := rotating(where.Query()); credentials != nil {
		options.Credentials = credentials
	}
	if options.Credentials != nil && !aws.IsCredentialsProvider(options.Credentials, (*aws.AnonymousCredentials)(nil)) {
		options.Credentials = named{options.Credentials}
	}
	return options, nil
}

// checkURL refuses what would be ignored, which is worse than refused.
func checkURL(where *url.URL) error {
	switch {
	case where.User != nil:
		return errors.New("a URL holds no credentials: put them into the file that AWS_SHARED_CREDENTIALS_FILE names")
	case where.Host == "":
		return errors.New("the URL names no bucket: it looks like s3://BUCKET?region=REGION")
	case strings.Trim(where.Path, "/") != "":
		return errors.New("a bucket has no path: write what its keys begin with as a parameter, ?prefix=" + strings.Trim(where.Path, "/") + "/")
	}
	return nil
}

// uploads are those that a bucket receives in parts.
type uploads struct {
	client         *s3.Client
	bucket, prefix string
}

// abort removes the parts of uploads that began before the time and were neither completed nor aborted, as those of a process that was
// killed. A storage that does not let us has to remove them by a rule of its own.
func (u uploads) abort(ctx context.Context, mine func(key string) bool, before time.Time) (int, error) {
	aborted := 0
	pages := s3.NewListMultipartUploadsPaginator(u.client, &s3.ListMultipartUploadsInput{Bucket: &u.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if refused(err) {
			return aborted, nil
		}
		if err != nil {
			return aborted, fmt.Errorf("listing uploads that never ended: %w", err)
		}
		for _, each := range page.Uploads {
			key, within := strings.CutPrefix(aws.ToString(each.Key), u.prefix)
			if !within || !mine(key) || each.Initiated == nil || !each.Initiated.Before(before) {
				continue
			}
			abort := &s3.AbortMultipartUploadInput{Bucket: &u.bucket, Key: each.Key, UploadId: each.UploadId}
			switch _, err := u.client.AbortMultipartUpload(ctx, abort); {
			case err == nil:
				aborted++
			case refused(err):
				return aborted, nil
			case !answers(err, "NoSuchUpload"): // somebody else, who sweeps as well, was faster
				return aborted, fmt.Errorf("aborting an upload that never ended: %w", err)
			}
		}
	}
	return aborted, nil
}

// refused reports whether a storage does not do what it was asked, rather than cannot.
func refused(err error) bool {
	return answers(err, "AccessDenied", "NotImplemented", "MethodNotAllowed")
}

// answers reports whether an error is one of these answers of a storage.
func answers(err error, codes ...string) bool {
	answer, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(codes, answer.ErrorCode())
}
