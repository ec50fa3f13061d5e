package dashboard

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/dashboard/board"
)

var scores = board.Scope{Namespace: "music", Name: "scores"}

// until waits for a state of what a mirror keeps.
func until(t *testing.T, m *mirror, scope board.Scope, what string, holds func(board.State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		now := m.board.Now(scope)
		if holds(now) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("it does not come to %s: %+v", what, now.Link)
		case <-now.Changed:
		}
	}
}

func TestMirrorFollowsWhatItMay(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var refused atomic.Bool
	refused.Store(true)
	c := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, isReleases := list.(*v1alpha1.ReleaseList); isReleases && refused.Load() {
				return errors.New("you may not")
			}
			return c.List(ctx, list, options...)
		},
	}).Build()
	ms := &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: "scores"}}
	if err := c.Create(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	m := &mirror{client: c, say: func(err error) string { return err.Error() }, board: board.New()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { m.run(ctx); close(ended) }()

	until(t, m, board.Scope{}, "Microservices without Releases", func(s board.State) bool {
		return s.Link.Loaded && s.Link.Problem == "" && s.Link.Releases == "you may not" && len(s.Microservices) == 1
	})
	refused.Store(false)
	until(t, m, board.Scope{}, "Releases as soon as they may be read", func(s board.State) bool { return s.Link.Releases == "" })

	for i, of := range []string{"scores", "scores", "other"} {
		made := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: of + "-" + string(rune('1'+i))}, Spec: v1alpha1.ReleaseSpec{Microservice: of, Number: int64(i + 1)}}
		if err := c.Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	until(t, m, scores, "its own two Releases", func(s board.State) bool { return len(s.Releases) == 2 })
	if own := m.board.Now(scores).Releases; own[0].Name != "scores-2" {
		t.Errorf("its own releases, the newest first, are %v", own)
	}
	if elsewhere := m.board.Now(board.Scope{Namespace: "art", Name: "scores"}); len(elsewhere.Microservices)+len(elsewhere.Releases) > 0 {
		t.Errorf("of another namespace there is %+v", elsewhere)
	}
	if err := c.Delete(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	until(t, m, board.Scope{}, "no Microservice", func(s board.State) bool { return len(s.Microservices) == 0 })
	stop()
	<-ended
}
