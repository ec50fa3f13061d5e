// Package board holds what is known of Microservices and Releases, and words it for the page: what the dashboard on somebody's own
// machine and the one in the cluster have in common.
//
// It owns the objects that were told last, the messages that the page is sent, and how these are streamed. Where the objects come from,
// who may see them, and which orders may be given are those of the two dashboards.
package board

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Kind is one of the two kinds that a board holds.
type Kind string

// The kinds of objects on a board.
const (
	Microservices Kind = "Microservice"
	Releases      Kind = "Release"
)

// Link is whether what is shown is what there is.
type Link struct {
	// Loaded says whether Microservices have been listed once.
	Loaded bool `json:"loaded"`
	// Problem is why Microservices are not followed; empty if they are.
	Problem string `json:"problem,omitempty"`
	// Releases is why Releases are not; then there is no history and no evidence.
	Releases string `json:"releases,omitempty"`
}

// Board is what was told last of both kinds, and whether it is told on. It is for many at a time. Objects that were put on it must
// not be changed any more, neither by those who put them there nor by those who look: they may be a cache's own.
type Board struct {
	mu            sync.Mutex
	microservices map[types.NamespacedName]*v1alpha1.Microservice
	releases      map[types.NamespacedName]*v1alpha1.Release
	link          Link
	// changed is closed at the next change.
	changed chan struct{}
}

// New returns an empty board.
func New() *Board {
	return &Board{
		microservices: map[types.NamespacedName]*v1alpha1.Microservice{}, releases: map[types.NamespacedName]*v1alpha1.Release{},
		changed: make(chan struct{}),
	}
}

// change wakes whoever waits, after something was done to the board.
func (b *Board) change(how func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	how()
	close(b.changed)
	b.changed = make(chan struct{})
}

// Put puts an object on the board, in place of what it was before. One of another kind is left out.
func (b *Board) Put(object client.Object) {
	b.change(func() { b.put(object) })
}

func (b *Board) put(object client.Object) {
	switch object := object.(type) {
	case *v1alpha1.Microservice:
		b.microservices[client.ObjectKeyFromObject(object)] = object
	case *v1alpha1.Release:
		b.releases[client.ObjectKeyFromObject(object)] = object
	}
}

// Remove takes an object off.
func (b *Board) Remove(object client.Object) {
	b.change(func() {
		switch object.(type) {
		case *v1alpha1.Microservice:
			delete(b.microservices, client.ObjectKeyFromObject(object))
		case *v1alpha1.Release:
			delete(b.releases, client.ObjectKeyFromObject(object))
		}
	})
}

// Replace makes the objects of a kind those given, and takes back why they could not be told.
func (b *Board) Replace(kind Kind, objects []client.Object) {
	b.change(func() {
		if kind == Microservices {
			clear(b.microservices)
			b.link.Loaded, b.link.Problem = true, ""
		} else {
			clear(b.releases)
			b.link.Releases = ""
		}
		for _, object := range objects {
			b.put(object)
		}
	})
}

// Load says that all objects of both kinds have been put on the board.
func (b *Board) Load() {
	b.change(func() { b.link.Loaded = true })
}

// Lose says why a kind is not followed for now. Its objects stay as they were.
func (b *Board) Lose(kind Kind, why string) {
	b.change(func() {
		if kind == Microservices {
			b.link.Problem = why
		} else {
			b.link.Releases = why
		}
	})
}

// Namespaces are those that Microservices lie in, sorted.
func (b *Board) Namespaces() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for key := range b.microservices {
		out = append(out, key.Namespace)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Scope is what somebody looks at.
type Scope struct {
	// Namespace and Name of one Microservice; all of them if Name is empty.
	Namespace, Name string
	// Sees tells whether objects of a kind in a namespace may be shown; nil shows all.
	Sees func(kind Kind, namespace string) bool
	// Viewer is whom it is shown to; nil where the page need not say so.
	Viewer *Viewer
	// ReadOnly leaves out which orders make sense.
	ReadOnly bool
}

func (s Scope) sees(kind Kind, namespace string) bool {
	return s.Sees == nil || s.Sees(kind, namespace)
}

// State is what there is at one moment, of what somebody looks at.
type State struct {
	Microservices []*v1alpha1.Microservice
	// Releases are those of the one Microservice, the newest first, or, of all, those that they are at.
	Releases []*v1alpha1.Release
	Link     Link
	// Changed is closed once there is a newer state.
	Changed <-chan struct{}
}

// Now returns what there is.
func (b *Board) Now(scope Scope) State {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := State{Link: b.link, Changed: b.changed}
	if scope.Name != "" {
		b.one(scope, &out)
		return out
	}
	for _, ms := range b.microservices {
		if !scope.sees(Microservices, ms.Namespace) {
			continue
		}
		out.Microservices = append(out.Microservices, ms)
		target := b.releases[types.NamespacedName{Namespace: ms.Namespace, Name: ms.Status.Release}]
		if target != nil && scope.sees(Releases, ms.Namespace) {
			out.Releases = append(out.Releases, target)
		}
	}
	return out
}

func (b *Board) one(scope Scope, out *State) {
	ms := b.microservices[types.NamespacedName{Namespace: scope.Namespace, Name: scope.Name}]
	if ms == nil || !scope.sees(Microservices, ms.Namespace) {
		return
	}
	out.Microservices = []*v1alpha1.Microservice{ms}
	if !scope.sees(Releases, ms.Namespace) {
		return
	}
	for _, release := range b.releases {
		if release.Namespace == ms.Namespace && release.Spec.Microservice == ms.Name {
			out.Releases = append(out.Releases, release)
		}
	}
	slices.SortFunc(out.Releases, func(a, b *v1alpha1.Release) int { return int(b.Spec.Number - a.Spec.Number) })
}
