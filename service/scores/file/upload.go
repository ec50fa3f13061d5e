package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/jobs"
)

// Upload is a file on its way.
type Upload struct {
	// FileName is what it is called where it comes from.
	FileName string
	// MediaType is how it is declared; empty if it is not.
	MediaType string
	// Body is its content.
	Body io.Reader
}

// Add keeps a file as a new version of a score that the caller may change, and has it found out what is in it. The file counts
// against the quota of the score's owner. It is idempotent: a content that the score has is not added again; then isNew is false.
// Faults: NotFound, Denied, Invalid, UnsupportedMedia, TooLarge, also if the quota is used up, and those of reading the body.
func (f *Files) Add(ctx context.Context, caller auth.Identity, scoreID string, u Upload) (v Version, isNew bool, err error) {
	s, err := f.cfg.Scores.Changeable(ctx, caller, scoreID)
	if err != nil {
		return Version{}, false, err
	}
	if err := f.requireStorage(); err != nil {
		return Version{}, false, err
	}
	used, err := f.cfg.Repository.Usage(ctx, s.OwnerID)
	if err != nil {
		return Version{}, false, err
	}
	if used.Bytes >= f.cfg.Quota {
		return Version{}, false, f.overQuota(used)
	}
	v = Version{ID: f.cfg.NewID(), ScoreID: scoreID, OwnerID: s.OwnerID, FileName: plainName(u.FileName)}
	content, err := f.receive(ctx, &v, u)
	if err != nil {
		return Version{}, false, err
	}
	defer f.cfg.Storage.Forget(ctx, content)
	if err := f.cfg.Storage.Keep(ctx, content); err != nil {
		return Version{}, false, err
	}
	return f.add(ctx, caller, v)
}

// receive looks at the file, stores it, and notes what it is.
func (f *Files) receive(ctx context.Context, v *Version, u Upload) (blob.Content, error) {
	if v.FileName == "" {
		return blob.Content{}, invalidFile("required", "must have a name")
	}
	body := bufio.NewReaderSize(u.Body, headSize)
	head, err := body.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return blob.Content{}, err
	}
	if len(head) == 0 {
		return blob.Content{}, invalidFile("required", "must not be empty")
	}
	if v.Format, err = formatOf(v.FileName, u.MediaType, head); err != nil {
		return blob.Content{}, err
	}
	if f.cfg.Readers[v.Format] == nil {
		return blob.Content{}, fault.New(fault.UnsupportedMedia, "Files of this format are not taken here")
	}
	tooLarge := fault.New(fault.TooLarge, fmt.Sprintf("The file must not be larger than %s", inMiB(f.cfg.MaxSize)))
	content, err := f.cfg.Storage.Receive(ctx, body, f.cfg.MaxSize, tooLarge)
	v.MediaType, v.Size, v.Sum, v.SHA256 = v.Format.MediaType(), content.Size, content.SHA256, content.SHA256.String()
	return content, err
}

func invalidFile(code, message string) error {
	return fault.InvalidInput("Validation failed", fault.Detail{Field: "file", Code: code, Message: message})
}

// add writes down what was kept, with the job that finds out what is in it.
func (f *Files) add(ctx context.Context, caller auth.Identity, v Version) (added Version, isNew bool, err error) {
	err = f.cfg.Repository.Atomically(ctx, func(ctx context.Context) error {
		if err := f.cfg.Storage.Claim(ctx, v.Sum); err != nil {
			return err
		}
		used, err := f.cfg.Repository.LockUsage(ctx, v.OwnerID)
		if err != nil {
			return err
		}
		added, isNew, err = f.cfg.Repository.Insert(ctx, v)
		switch {
		case errors.Is(err, ErrAbsent):
			return fault.New(fault.NotFound, "Score not found")
		case err != nil || !isNew:
			return err
		case used.Bytes+v.Size > f.cfg.Quota:
			return f.overQuota(used)
		}
		task, err := f.cfg.Queue.Enqueue(ctx, analyse{VersionID: v.ID}, jobs.Order{Owner: caller.ID, About: pathOf(added)})
		if err != nil {
			return err
		}
		added.TaskID = task.ID
		return f.cfg.Repository.Assign(ctx, v.ID, task.ID)
	})
	return added, isNew, err
}

func (f *Files) overQuota(used Usage) error {
	return fault.New(fault.TooLarge, fmt.Sprintf("The files of a user may have %s together, and %s are used; remove some first",
		inMiB(f.cfg.Quota), inMiB(used.Bytes)))
}

func inMiB(bytes int64) string { return fmt.Sprintf("%.4g MiB", float64(bytes)/(1<<20)) }
