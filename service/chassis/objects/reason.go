package objects

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// Reason is why a bucket did not do what it was told, as far as that can be known.
type Reason int

// The reasons. Unknown is also that of no error.
const (
	Unknown Reason = iota
	// NoBucket: there is no bucket of that name.
	NoBucket
	// NoCredentials: none are found, or the file that should hold them does not.
	NoCredentials
	// BadCredentials: the storage does not know them, or they have ended.
	BadCredentials
	// Denied: the credentials are good, and not allowed to do this.
	Denied
	// OtherRegion: the bucket is in another region than the one that was named.
	OtherRegion
	// Full: there is no room, or a quota is used up.
	Full
	// Unreachable: nobody answers.
	Unreachable
)

// codes are what storages answer, by reason. "Forbidden" and the like are all that an answer without a body has.
var codes = map[string]Reason{
	"NoSuchBucket":                       NoBucket,
	"XAdminUserNotFound":                 BadCredentials,
	"InvalidAccessKeyId":                 BadCredentials,
	"SignatureDoesNotMatch":              BadCredentials,
	"ExpiredToken":                       BadCredentials,
	"InvalidToken":                       BadCredentials,
	"TokenRefreshRequired":               BadCredentials,
	"AccessDenied":                       Denied,
	"AllAccessDisabled":                  Denied,
	"Forbidden":                          Denied,
	"PermanentRedirect":                  OtherRegion,
	"MovedPermanently":                   OtherRegion,
	"AuthorizationHeaderMalformed":       OtherRegion,
	"IllegalLocationConstraintException": OtherRegion,
	"QuotaExceeded":                      Full,
	"XMinioStorageFull":                  Full,
	"XMinioAdminBucketQuotaExceeded":     Full,
}

// ReasonOf says why a Bucket returned an error.
func ReasonOf(err error) Reason {
	if errors.Is(err, errNoCredentials) {
		return NoCredentials
	}
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		return codes[answer.ErrorCode()]
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return Full
	}
	_, network := errors.AsType[net.Error](err)
	if _, sent := errors.AsType[*url.Error](err); sent || network || errors.Is(err, context.DeadlineExceeded) {
		return Unreachable
	}
	return Unknown
}

// Detail is the part of an error of a Bucket that says something, on one line: what the storage answered, or what happened to the
// connection. It holds no secret.
func Detail(err error) string {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		if answer.ErrorMessage() == "" {
			return answer.ErrorCode()
		}
		return answer.ErrorCode() + ": " + answer.ErrorMessage()
	}
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return sent.Err.Error()
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

var errNoCredentials = errors.New("there are no credentials")

// named tells the errors of finding credentials from all others.
type named struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (n named) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, fmt.Errorf("%w: %w", errNoCredentials, err)
	}
	return found, nil
}
