package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/jobs"
)

const (
	importPath = "/api/scores/import"

	// MaxFile is how many bytes a file has at most.
	MaxFile = 64 << 20
	// smallFile and smallLines are how many bytes and lines a file has at most that is done while its client waits, and told of line
	// by line.
	smallFile  = 1 << 20
	smallLines = 1000
	// longestImport is how long a file may be on its way, and be done where it cannot be kept.
	longestImport = 10 * time.Minute
)

func importRoute(s *Service, later *Later) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: importPath, Access: httpapi.Callers, Class: httpapi.ClassUpload,
		Name: "importScores", Group: group, Summary: "Take scores in from a file, as an export gave it",
		Description: "A line with the ID of a score of the caller's changes it, any other line makes a new score. The report " +
			"says of each line what it did. A line that is refused does not keep the others from being done. A file of more than 1 MiB or " +
			"1,000 lines is kept and done afterwards: watch the task, whose result is the report, with those lines that were refused.",
		Consumes: []string{jsonlType, otherJSONLType, csvType},
		MaxBody:  MaxFile, Patience: longestImport,
		Status: http.StatusOK, Response: httpapi.Envelope[Report]{}, Others: map[int]any{http.StatusAccepted: httpapi.Accepted[Taken]{}},
		Faults: []fault.Code{fault.Conflict},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer, err := receive(s, later, r)
			if err != nil {
				w.Header().Set("Connection", "close") // the rest of the body is not read
				httpapi.WriteError(r.Context(), w, err)
				return
			}
			answer.Write(r.Context(), w)
		}),
	}
}

// receive takes a file in. A small one, which most are, is read as a whole before anything is done. A larger one is kept, or else done piece by
// piece.
func receive(s *Service, later *Later, r *http.Request) (httpapi.Response, error) {
	mediaType, err := httpapi.RequireMedia(r, jsonlType, otherJSONLType, csvType)
	if err != nil {
		return httpapi.Response{}, err
	}
	format := JSONL
	if mediaType == csvType {
		format = CSV
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, smallFile+1))
	if err != nil {
		return httpapi.Response{}, httpapi.BodyFault(err)
	}
	ctx, caller := r.Context(), auth.FromContext(r.Context())
	whole := io.MultiReader(bytes.NewReader(head), body{r.Body})
	switch {
	case isSmall(head):
		return reported(s.ImportAll(ctx, caller, format, bytes.NewReader(head), Every))
	case !later.takes():
		return reported(s.ImportAll(ctx, caller, format, whole, OnlyRefused))
	}
	taken, task, err := later.Take(ctx, caller, format, head, whole)
	return httpapi.AcceptedFor(jobs.PathOf(task), task.ID, taken), err
}

// isSmall reports whether a file is done at once, by its beginning.
func isSmall(head []byte) bool {
	return len(head) <= smallFile && bytes.Count(head, []byte{'\n'}) <= smallLines
}

func reported(r Report, err error) (httpapi.Response, error) {
	return httpapi.OKMessage(r, fmt.Sprintf("Created %d, updated %d, left unchanged %d, refused %d", r.Created, r.Updated, r.Unchanged, r.Refused)), err
}

// body is the body of a request whose errors are faults.
type body struct{ io.Reader }

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = httpapi.BodyFault(err)
	}
	return n, err
}
