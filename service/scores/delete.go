package scores

import (
	"context"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Delete implements Service.
func (l *Library) Delete(ctx context.Context, caller auth.Identity, id string, ifVersion int64) error {
	return l.OnVersion(ctx, caller, id, ifVersion, func(s Score) error {
		return l.repo.Remove(ctx, s.ID, s.Version)
	})
}
