package scores

import (
	"context"
	"fmt"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// BatchUpdate is the body of a request that makes the same change to many scores.
type BatchUpdate struct {
	// IDs are 1 to MaxBatch.
	IDs []string `json:"ids" required:"true" minItems:"1" maxItems:"100"`
	// Updates are the fields to set, as in a change of one score.
	Updates Change `json:"updates" required:"true"`
}

// BatchUpdated is the answer to a BatchUpdate.
type BatchUpdated struct {
	// Updated is how many scores were changed: those among the IDs that belong to the caller.
	Updated int64 `json:"updated"`
}

// BatchDelete is the body of a request that removes many scores.
type BatchDelete struct {
	// IDs are 1 to MaxBatch.
	IDs []string `json:"ids" required:"true" minItems:"1" maxItems:"100"`
}

// BatchDeleted is the answer to a BatchDelete.
type BatchDeleted struct {
	// Deleted is how many scores were removed: those among the IDs that belonged to the caller.
	Deleted int64 `json:"deleted"`
}

func updateScores(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: basePath + "/bulk-update", Access: httpapi.Callers, Class: httpapi.ClassUpload,
		Name: "updateScores", Group: group, Summary: "Make the same change to up to 100 of the caller's scores",
		Description: "All of them are changed or none. IDs of scores that are not the caller's are passed over.",
		Request:     BatchUpdate{}, Status: http.StatusOK, Response: httpapi.Envelope[BatchUpdated]{},
		Faults: []fault.Code{fault.Conflict},
		Handler: httpapi.Handle(decodeBatch(func(b *BatchUpdate) []string { return b.IDs }),
			func(ctx context.Context, b BatchUpdate) (BatchUpdated, error) {
				n, err := s.UpdateMany(ctx, auth.FromContext(ctx), b.IDs, b.Updates)
				return BatchUpdated{Updated: n}, err
			},
			func(b BatchUpdated) httpapi.Response {
				return httpapi.OKMessage(b, fmt.Sprintf("Updated %d scores", b.Updated))
			}),
	}
}

func deleteScores(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodPost, Path: basePath + "/batch-delete", Access: httpapi.Callers, Class: httpapi.ClassUpload,
		Name: "deleteScores", Group: group, Summary: "Remove up to 100 of the caller's scores",
		Description: "All of them are removed or none. IDs of scores that are not the caller's are passed over.",
		Request:     BatchDelete{}, Status: http.StatusOK, Response: httpapi.Envelope[BatchDeleted]{},
		Faults: []fault.Code{fault.Conflict},
		Handler: httpapi.Handle(decodeBatch(func(b *BatchDelete) []string { return b.IDs }),
			func(ctx context.Context, b BatchDelete) (BatchDeleted, error) {
				n, err := s.DeleteMany(ctx, auth.FromContext(ctx), b.IDs)
				return BatchDeleted{Deleted: n}, err
			},
			func(b BatchDeleted) httpapi.Response {
				return httpapi.OKMessage(b, fmt.Sprintf("Deleted %d scores", b.Deleted))
			}),
	}
}

// decodeBatch reads a body and brings its IDs, which are a slice of it, into normal form.
func decodeBatch[T any](idsOf func(*T) []string) func(*http.Request) (T, error) {
	return func(r *http.Request) (T, error) {
		body, err := httpapi.DecodeJSON[T](r)
		if err != nil {
			return body, err
		}
		return body, NormalIDs("ids", idsOf(&body))
	}
}

// NormalIDs writes UUIDs in lower case, or returns an Invalid fault that names those that are none, the first ten at most.
func NormalIDs(field string, ids []string) error {
	const most = 10
	var details []fault.Detail
	for i, text := range ids {
		id, ok := httpapi.ParseUUID(text)
		if !ok && len(details) < most {
			details = append(details, fault.Detail{
				Field: fmt.Sprintf("%s.%d", field, i), Code: "uuid", Message: "must be a UUID",
			})
		}
		ids[i] = id
	}
	if len(details) > 0 {
		return fault.InvalidInput(httpapi.InvalidBody, details...)
	}
	return nil
}
