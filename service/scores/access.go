package scores

import (
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// maySee reports whether the caller may know that the score exists.
func maySee(caller auth.Identity, s Score) bool {
	return s.Visibility != Private || mayChange(caller, s)
}

// mayChange reports whether the caller may change or delete the score.
func mayChange(caller auth.Identity, s Score) bool {
	return caller.IsAdmin() || (!caller.IsAnonymous() && caller.ID == s.OwnerID)
}

// requireChange returns nil if the caller may change the score. A score that the caller may not see does not exist for
// that caller, so that IDs cannot be probed.
func requireChange(caller auth.Identity, s Score) error {
	switch {
	case mayChange(caller, s):
		return nil
	case maySee(caller, s):
		return fault.New(fault.Denied, "Only its owner may change this score")
	}
	return notFound()
}

func notFound() error { return fault.New(fault.NotFound, "Score not found") }

// Selection says which scores a list may hold. The zero value selects what everybody may list: public scores.
type Selection struct {
	// Everything selects all scores and overrides Reader.
	Everything bool
	// Reader adds all scores of this owner; empty adds none.
	Reader string
}

// SelectionFor returns what the caller may list.
func SelectionFor(caller auth.Identity) Selection {
	return Selection{Everything: caller.IsAdmin(), Reader: caller.ID}
}
