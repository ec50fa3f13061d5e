package backup

import (
	"context"
	"errors"
	"strings"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/migrate"
)

// rights are what a run needs of a bucket.
const rights = "s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject"

// failure says what is wrong with the bucket, and the way out. Act is what was done to it, such as writing.
func (s *bucket) failure(ctx context.Context, act string, err error) *migrate.Error {
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return failure
	}
	if ctx.Err() != nil {
		return migrate.NewError(contract.Interrupted, "the run was told to stop while the bucket of backups was at work")
	}
	return migrate.NewError(contract.StorageUnavailable, "the bucket of backups, "+s.host+": "+bucketProblem(act, objects.ReasonOf(err), objects.Detail(err)))
}

// bucketProblem is one line.
func bucketProblem(act string, reason objects.Reason, detail string) string {
	text := map[objects.Reason]string{
		objects.NoBucket:       "it does not exist: make it, or correct its name, region or endpoint in --location",
		objects.NoCredentials:  "there are no credentials for it: let AWS_SHARED_CREDENTIALS_FILE name a file with a profile that has keys",
		objects.BadCredentials: "its storage refuses the credentials (" + detail + "): put valid ones into the file that AWS_SHARED_CREDENTIALS_FILE names",
		objects.Denied:         act + " is denied to its credentials: grant them " + rights,
		objects.OtherRegion:    "it is in another region (" + detail + "): name that in --location, as region=REGION",
		objects.Full:           "there is no room in it (" + detail + "): raise its quota, or keep fewer backups",
		objects.Unreachable:    "its storage does not answer (" + detail + "): look whether it runs, and whether endpoint in --location and the way there are right",
	}[reason]
	if text == "" {
		text = act + " failed (" + detail + "): look at the storage, and run again"
	}
	return strings.Join(strings.Fields(text), " ")
}
