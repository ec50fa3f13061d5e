package scores

import (
	"context"
	"fmt"
	"reflect"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// MaxBatch is how many scores one operation changes at most.
const MaxBatch = 100

// UpdateMany implements Service.
func (l *Library) UpdateMany(ctx context.Context, caller auth.Identity, ids []string, c Change) (int64, error) {
	if err := CheckBatch("update", ids); err != nil {
		return 0, err
	}
	if reflect.ValueOf(c).IsZero() {
		return 0, fault.InvalidInput("Validation failed",
			fault.Detail{Field: "updates", Code: "required", Message: "must hold at least one field"})
	}
	fields, err := l.fields(c)
	if err != nil {
		return 0, err
	}
	return l.repo.ReplaceMany(ctx, caller.ID, ids, c, fields)
}

// DeleteMany implements Service.
func (l *Library) DeleteMany(ctx context.Context, caller auth.Identity, ids []string) (int64, error) {
	if err := CheckBatch("delete", ids); err != nil {
		return 0, err
	}
	return l.repo.RemoveMany(ctx, caller.ID, ids)
}

// CheckBatch returns an Invalid fault if there are no IDs or too many; act is a verb.
func CheckBatch(act string, ids []string) error {
	switch n := len(ids); {
	case n == 0:
		return fault.InvalidInput("Validation failed",
			fault.Detail{Field: "ids", Code: "required", Message: "must hold at least one ID"})
	case n > MaxBatch:
		return fault.InvalidInput(fmt.Sprintf("Cannot %s more than %d scores at once", act, MaxBatch),
			fault.Detail{Field: "ids", Code: "max", Message: fmt.Sprintf("must have at most %d entries", MaxBatch)})
	}
	return nil
}
