package collection

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

func TestC33Permissions(t *testing.T) {
	owner := auth.Identity{ID: "alice", Role: auth.RoleUser}
	teaching := auth.Identity{ID: "alice", Role: auth.RoleTeacher}
	bob := auth.Identity{ID: "bob", Role: auth.RoleUser}
	teacher := auth.Identity{ID: "tess", Role: auth.RoleTeacher}
	admin := auth.Identity{ID: "root", Role: auth.RoleAdmin}
	with := func(v scores.Visibility) Collection {
		return Collection{OwnerID: "alice", Fields: Fields{Visibility: v}}
	}
	standard := with(scores.Private)
	standard.IsDefault = true
	all := permissions{read: true, write: true, remove: true, share: true, feature: true}
	for name, tc := range map[string]struct {
		caller     auth.Identity
		collection Collection
		shared     bool
		want       permissions
	}{
		"an owner does all but share and feature":      {caller: owner, collection: with(scores.Private), want: permissions{read: true, write: true, remove: true}},
		"an owner who teaches shares":                  {caller: teaching, collection: with(scores.Private), want: permissions{read: true, write: true, remove: true, share: true}},
		"an owner keeps the default one":               {caller: owner, collection: standard, want: permissions{read: true, write: true}},
		"an admin does everything":                     {caller: admin, collection: with(scores.Private), want: all},
		"an admin removes a default one":               {caller: admin, collection: standard, want: all},
		"another sees nothing of a private one":        {caller: bob, collection: with(scores.Private)},
		"another reads a public one":                   {caller: bob, collection: with(scores.Public), want: permissions{read: true}},
		"another reads an unlisted one by ID":          {caller: bob, collection: with(scores.Unlisted), want: permissions{read: true}},
		"another reads what is shared":                 {caller: bob, collection: with(scores.Private), shared: true, want: permissions{read: true}},
		"a teacher shares only the teacher's own":      {caller: teacher, collection: with(scores.Public), want: permissions{read: true}},
		"anonymous callers read public ones":           {collection: with(scores.Public), want: permissions{read: true}},
		"anonymous callers see nothing of private":     {collection: with(scores.Private)},
		"nobody owns a collection without an owner":    {collection: Collection{Fields: Fields{Visibility: scores.Private}}},
		"being featured makes no private one readable": {caller: bob, collection: Collection{OwnerID: "alice", Fields: Fields{Visibility: scores.Private}, FeaturedAt: new(standard.CreatedAt)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := permissionsOf(tc.caller, tc.collection, tc.shared)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(permissions{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, tc := range map[string]struct {
		may     permissions
		allowed bool
		want    fault.Code
	}{
		"what is allowed passes":          {may: permissions{read: true}, allowed: true},
		"what is seen is denied":          {may: permissions{read: true}, want: fault.Denied},
		"what is not seen does not exist": {want: fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fault.CodeOf(tc.may.require(tc.allowed, "change")); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
