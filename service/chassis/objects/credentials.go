package objects

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// rereadCredentials is how often the file of credentials is read again while there are calls.
const rereadCredentials = 10 * time.Second

// rotating returns the credentials of the file in which the SDK would find them, which it reads once; nil if it takes others.
func rotating(parameters url.Values) aws.CredentialsProvider {
	path := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if path == "" || os.Getenv("AWS_ACCESS_KEY_ID") != "" || parameters.Has("role") || parameters.Has("anonymous") {
		return nil
	}
	profile := cmp.Or(parameters.Get("profile"), os.Getenv("AWS_PROFILE"), config.DefaultSharedConfigProfile)
	return aws.NewCredentialsCache(credentialsFile{path: path, profile: profile, every: rereadCredentials})
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
