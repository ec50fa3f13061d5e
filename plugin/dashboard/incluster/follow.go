package incluster

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/go-logr/logr"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/dashboard/board"
)

// follow keeps the board as the caches are, until the context ends. The board holds the caches' own objects, so that nothing is in memory
// twice. loaded is called once all of them are on it.
func follow(ctx context.Context, from cache.Informers, to *board.Board, loaded func()) error {
	for _, kind := range []struct {
		name   board.Kind
		object client.Object
	}{{board.Releases, &v1alpha1.Release{}}, {board.Microservices, &v1alpha1.Microservice{}}} {
		informer, err := from.GetInformer(ctx, kind.object)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("following %ss for the dashboard: %w", kind.name, err)
		}
		registered, err := informer.AddEventHandler(handler(to))
		if err != nil {
			return fmt.Errorf("following %ss for the dashboard: %w", kind.name, err)
		}
		defer func() { _ = informer.RemoveEventHandler(registered) }() // the informer ends with the process
		select {
		case <-ctx.Done():
			return nil
		case <-registered.HasSyncedChecker().Done():
		}
	}
	to.Load()
	loaded()
	<-ctx.Done()
	return nil
}

func handler(to *board.Board) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			if object, ok := object.(client.Object); ok {
				to.Put(object)
			}
		},
		UpdateFunc: func(before, object any) {
			was, _ := before.(client.Object)
			now, ok := object.(client.Object)
			// What is only told once more wakes nobody.
			if ok && (was == nil || was.GetResourceVersion() != now.GetResourceVersion()) {
				to.Put(now)
			}
		},
		DeleteFunc: func(object any) {
			if missed, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = missed.Obj
			}
			if object, ok := object.(client.Object); ok {
				to.Remove(object)
			}
		},
	}
}

// quiet logs what the HTTP server has to say, such as that a browser does not trust the certificate, where somebody looks for it.
func quiet(to logr.Logger) *log.Logger { return log.New(lines{to}, "", 0) }

type lines struct{ to logr.Logger }

func (l lines) Write(line []byte) (int, error) {
	l.to.V(1).Info("a connection to the dashboard", "problem", strings.TrimSpace(string(line)))
	return len(line), nil
}
