package collection

import (
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

// permissions are what a caller may do with a collection. Every operation asks them.
type permissions struct {
	// read is to see the collection and those of its scores that the caller may read.
	read bool
	// write is to change it and what is in it.
	write  bool
	remove bool
	// share is to let others read it.
	share bool
	// feature is to show it among the featured ones.
	feature bool
}

// permissionsOf decides. shared says that the collection is shared with the caller.
func permissionsOf(caller auth.Identity, c Collection, shared bool) permissions {
	owns := !caller.IsAnonymous() && caller.ID == c.OwnerID
	admin := caller.IsAdmin()
	return permissions{
		read:    owns || admin || shared || c.Visibility != scores.Private,
		write:   owns || admin,
		remove:  owns && !c.IsDefault || admin,
		share:   owns && caller.Role == auth.RoleTeacher || admin,
		feature: admin,
	}
}

// require returns nil if it is allowed. A collection that the caller may not read does not exist for that caller, so that
// IDs cannot be probed.
func (p permissions) require(allowed bool, act string) error {
	switch {
	case p.read && allowed:
		return nil
	case p.read:
		return fault.New(fault.Denied, "You may not "+act+" this collection")
	}
	return notFound()
}

func notFound() error { return fault.New(fault.NotFound, "Collection not found") }
