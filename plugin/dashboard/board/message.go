package board

import "github.com/mirubato/mirubato/api/v1alpha1"

// Message is what the page is told: all Microservices, or the one that it asks for, which is left out if there is none.
type Message struct {
	Link     Link      `json:"link"`
	Viewer   *Viewer   `json:"viewer,omitempty"`
	Overview *overview `json:"overview,omitempty"`
	Detail   *detail   `json:"detail,omitempty"`
}

// Viewer is who looks.
type Viewer struct {
	Name string `json:"name"`
	// SignedIn says whether they signed in at the page, and so may sign out there.
	SignedIn bool `json:"signedIn"`
}

// Told is the message of a state, which must be one of the scope.
func Told(s State, scope Scope) (Message, error) {
	out := Message{Link: s.Link, Viewer: scope.Viewer}
	if scope.Name == "" {
		all := overviewOf(s.Microservices, s.Releases)
		out.Overview = &all
		return out, nil
	}
	if len(s.Microservices) == 0 {
		return out, nil
	}
	releases := make([]v1alpha1.Release, 0, len(s.Releases))
	for _, release := range s.Releases {
		releases = append(releases, *release)
	}
	one, err := detailOf(s.Microservices[0], releases)
	if scope.ReadOnly {
		one.giveNoOrders()
	}
	out.Detail = &one
	return out, err
}

// giveNoOrders takes away what could be done.
func (d *detail) giveNoOrders() {
	d.Verbs = []offer{}
	for i := range d.Environments {
		d.Environments[i].Verbs = []offer{}
	}
}
