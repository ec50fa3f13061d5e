package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	cloud "gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// rereadCredentials is how often the file of credentials is read again while there are calls.
const rereadCredentials = 10 * time.Second

// openS3 opens a bucket by its URL. The SDK reads a file of credentials once; this one is read again, so that credentials can be
// exchanged while the process runs.
func openS3(ctx context.Context, where string) (*cloud.Bucket, error) {
	parsed, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("the URL of the storage cannot be read") // its text may hold a secret
	}
	parameters := parsed.Query()
	prefix := parameters.Get("prefix")
	parameters.Del("prefix") // which every kind of bucket takes, so that the opener of this one does not
	parsed.RawQuery = parameters.Encode()
	opener := s3blob.URLOpener{}
	opened, err := opener.OpenBucketURL(ctx, parsed)
	if err != nil {
		return nil, err
	}
	if path := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); path != "" && os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		var client *s3.Client
		if !opened.As(&client) {
			return nil, errors.New("the bucket is none of S3")
		}
		options := client.Options()
		profile := cmp.Or(parameters.Get("profile"), os.Getenv("AWS_PROFILE"), config.DefaultSharedConfigProfile)
		options.Credentials = aws.NewCredentialsCache(credentialsFile{path: path, profile: profile, every: rereadCredentials})
		if err := opened.Close(); err != nil {
			return nil, err
		}
		// The opener keeps in its options what the URL says of encryption.
		if opened, err = s3blob.OpenBucket(ctx, s3.New(options), parsed.Host, &opener.Options); err != nil {
			return nil, err
		}
	}
	if prefix != "" {
		opened = cloud.PrefixedBucket(opened, prefix)
	}
	return opened, nil
}

// credentialsFile provides the credentials that a file holds at the time, for a while each time.
type credentialsFile struct {
	path, profile string
	every         time.Duration
}

// Retrieve implements aws.CredentialsProvider.
func (f credentialsFile) Retrieve(ctx context.Context) (aws.Credentials, error) {
	shared, err := config.LoadSharedConfigProfile(ctx, f.profile, func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{f.path}, []string{}
	})
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("reading the credentials of the storage: %w", err)
	}
	if !shared.Credentials.HasKeys() {
		return aws.Credentials{}, fmt.Errorf("reading the credentials of the storage: profile %s of %s has no keys", f.profile, f.path)
	}
	return f.lasting(shared.Credentials), nil
}

// HandleFailToRefresh implements aws.HandleFailRefreshCredentialsCacheStrategy: a file that cannot be read leaves the credentials
// in force that were read before.
func (f credentialsFile) HandleFailToRefresh(_ context.Context, previous aws.Credentials, err error) (aws.Credentials, error) {
	if !previous.HasKeys() {
		return aws.Credentials{}, err
	}
	return f.lasting(previous), nil
}

func (f credentialsFile) lasting(c aws.Credentials) aws.Credentials {
	c.CanExpire, c.Expires = true, time.Now().Add(f.every)
	return c
}
