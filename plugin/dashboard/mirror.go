package dashboard

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/dashboard/board"
)

const (
	// listTimeout bounds a list. A watch has no end of its own.
	listTimeout = 30 * time.Second
	// pause is how long is waited before the API server is asked again that did not answer.
	pause = time.Second
)

// mirror keeps a board as the API server tells.
type mirror struct {
	client    client.WithWatch
	namespace string
	// say words an error for whoever looks.
	say   func(error) string
	board *board.Board
}

// run follows both kinds until the context ends.
func (m *mirror) run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() {
		m.follow(ctx, board.Microservices, func() client.ObjectList { return &v1alpha1.MicroserviceList{} })
	})
	both.Go(func() {
		m.follow(ctx, board.Releases, func() client.ObjectList { return &v1alpha1.ReleaseList{} })
	})
	both.Wait()
}

// follow lists a kind and watches from there, again and again. A watch that the API server ends, as it does once in a while, is no
// problem: only what cannot be listed or watched is.
func (m *mirror) follow(ctx context.Context, kind board.Kind, newList func() client.ObjectList) {
	for ctx.Err() == nil {
		began := time.Now()
		err := m.once(ctx, kind, newList())
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.board.Lose(kind, m.say(err))
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
func (m *mirror) once(ctx context.Context, kind board.Kind, list client.ObjectList) error {
	items, err := m.listed(ctx, list)
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
	m.board.Replace(kind, items)
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watching.ResultChan():
			if !open {
				return nil
			}
			if ended, err := m.took(event); ended {
				return err
			}
		}
	}
}

// took puts an event on the board. With ended the watch is over: for the error, or, if there is none, because it is so long ago
// that everything has to be listed anew.
func (m *mirror) took(event watch.Event) (ended bool, err error) {
	if event.Type == watch.Error {
		if err := apierrors.FromObject(event.Object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return true, err
		}
		return true, nil
	}
	item, isObject := event.Object.(client.Object)
	switch {
	case event.Type == watch.Bookmark || !isObject:
	case event.Type == watch.Deleted:
		m.board.Remove(item)
	default:
		m.board.Put(lean(item))
	}
	return false, nil
}

func (m *mirror) listed(ctx context.Context, list client.ObjectList) ([]client.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	if err := m.client.List(ctx, list, client.InNamespace(m.namespace)); err != nil {
		return nil, err
	}
	objects, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	var items []client.Object
	for _, object := range objects {
		if item, ok := object.(client.Object); ok {
			items = append(items, lean(item))
		}
	}
	return items, nil
}

// lean drops what nobody looks at and takes much of the memory.
func lean(item client.Object) client.Object {
	item.SetManagedFields(nil)
	return item
}
