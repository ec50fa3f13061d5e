package scores

import (
	"context"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Update implements Service.
func (l *Library) Update(
	ctx context.Context, caller auth.Identity, id string, ifVersion int64, c Change,
) (Score, error) {
	var updated Score
	err := l.OnVersion(ctx, caller, id, ifVersion, func(s Score) error {
		var err error
		if s.Fields, err = l.Apply(c, &s.Fields); err != nil {
			return err
		}
		updated, err = l.repo.Replace(ctx, s)
		return err
	})
	return updated, err
}
