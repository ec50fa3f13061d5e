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
		s.Fields = c.applyTo(s.Fields)
		if err := check(l.rules, s.Fields); err != nil {
			return err
		}
		var err error
		updated, err = l.repo.Replace(ctx, s)
		return err
	})
	return updated, err
}
