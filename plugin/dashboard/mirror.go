package dashboard

import (
	"context"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

const (
	// listTimeout bounds a list. A watch has no end of its own.
	listTimeout = 30 * time.Second
	// pause is how long is waited before the API server is asked again that did not answer.
	pause = time.Second
)

// mirror is what the API server told last of Microservices and Releases, and whether it tells on. It is kept by run, and may be read
// by many at a time.
type mirror struct {
	client    client.WithWatch
	namespace string
	// say words an error for whoever looks.
	say func(error) string

	mu            sync.Mutex
	microservices map[types.NamespacedName]*v1alpha1.Microservice
	releases      map[types.NamespacedName]*v1alpha1.Release
	// problems are why a kind is not followed, by kind; seen are the kinds that have been listed.
	problems map[string]string
	seen     map[string]bool
	// changed is closed at the next change.
	changed chan struct{}
}

func newMirror(c client.WithWatch, namespace string, say func(error) string) *mirror {
	return &mirror{
		client: c, namespace: namespace, say: say,
		microservices: map[types.NamespacedName]*v1alpha1.Microservice{}, releases: map[types.NamespacedName]*v1alpha1.Release{},
		problems: map[string]string{}, seen: map[string]bool{}, changed: make(chan struct{}),
	}
}

const (
	kindMicroservice = "Microservice"
	kindRelease      = "Release"
)

// run follows both kinds until the context ends.
func (m *mirror) run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() {
		follow(ctx, m, kindMicroservice, m.microservices, func() client.ObjectList { return &v1alpha1.MicroserviceList{} })
	})
	both.Go(func() {
		follow(ctx, m, kindRelease, m.releases, func() client.ObjectList { return &v1alpha1.ReleaseList{} })
	})
	both.Wait()
}

// follow lists a kind and watches from there, again and again. A watch that the API server ends, as it does once in a while, is no
// problem: only what cannot be listed or watched is.
func follow[T client.Object](ctx context.Context, m *mirror, kind string, into map[types.NamespacedName]T, newList func() client.ObjectList) {
	for ctx.Err() == nil {
		began := time.Now()
		err := once(ctx, m, kind, into, newList())
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.update(func() { m.problems[kind] = m.say(err) })
		}
		if err == nil && time.Since(began) > pause {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// once lists and watches until the watch ends.
func once[T client.Object](ctx context.Context, m *mirror, kind string, into map[types.NamespacedName]T, list client.ObjectList) error {
	items, err := listed[T](ctx, m, list)
	if err != nil {
		return err
	}
	watching, err := m.client.Watch(ctx, list, &client.ListOptions{
		Namespace: m.namespace, Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion(), AllowWatchBookmarks: true},
	})
	if err != nil {
		return err
	}
	defer watching.Stop()
	m.update(func() {
		clear(into)
		for _, item := range items {
			into[client.ObjectKeyFromObject(item)] = lean(item)
		}
		m.seen[kind] = true
		delete(m.problems, kind)
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watching.ResultChan():
			if !open {
				return nil
			}
			if ended, err := took(m, into, event); ended {
				return err
			}
		}
	}
}

// took puts an event into the mirror. With ended the watch is over: for the error, or, if there is none, because it is so long ago
// that everything has to be listed anew.
func took[T client.Object](m *mirror, into map[types.NamespacedName]T, event watch.Event) (ended bool, err error) {
	if event.Type == watch.Error {
		if err := apierrors.FromObject(event.Object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return true, err
		}
		return true, nil
	}
	item, isObject := event.Object.(T)
	if event.Type == watch.Bookmark || !isObject {
		return false, nil
	}
	m.update(func() {
		if event.Type == watch.Deleted {
			delete(into, client.ObjectKeyFromObject(item))
		} else {
			into[client.ObjectKeyFromObject(item)] = lean(item)
		}
	})
	return false, nil
}

func listed[T client.Object](ctx context.Context, m *mirror, list client.ObjectList) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	if err := m.client.List(ctx, list, client.InNamespace(m.namespace)); err != nil {
		return nil, err
	}
	objects, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	var items []T
	for _, object := range objects {
		if item, ok := object.(T); ok {
			items = append(items, item)
		}
	}
	return items, nil
}

// lean drops what nobody looks at and takes much of the memory.
func lean[T client.Object](item T) T {
	item.SetManagedFields(nil)
	return item
}

// update changes the mirror and wakes whoever waits for that.
func (m *mirror) update(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	close(m.changed)
	m.changed = make(chan struct{})
}

// state is what there is at one moment. The objects are shared and never changed.
type state struct {
	microservices []v1alpha1.Microservice
	releases      []v1alpha1.Release
	link          link
	// changed is closed once there is a newer state.
	changed <-chan struct{}
}

// link is whether what is shown is what there is.
type link struct {
	// Loaded says whether Microservices have been listed once.
	Loaded bool `json:"loaded"`
	// Problem is why Microservices are not followed; empty if they are.
	Problem string `json:"problem,omitempty"`
	// Releases is why Releases are not; then there is no history and no evidence.
	Releases string `json:"releases,omitempty"`
}

// now returns what there is: of one Microservice and its releases, the newest first, or of all if name is empty.
func (m *mirror) now(namespace, name string) state {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := state{
		link:    link{Loaded: m.seen[kindMicroservice], Problem: m.problems[kindMicroservice], Releases: m.problems[kindRelease]},
		changed: m.changed,
	}
	for _, ms := range m.microservices {
		if name == "" || ms.Namespace == namespace && ms.Name == name {
			out.microservices = append(out.microservices, *ms)
		}
	}
	for _, release := range m.releases {
		if name == "" || release.Namespace == namespace && release.Spec.Microservice == name {
			out.releases = append(out.releases, *release)
		}
	}
	slices.SortFunc(out.releases, func(a, b v1alpha1.Release) int { return int(b.Spec.Number - a.Spec.Number) })
	return out
}
