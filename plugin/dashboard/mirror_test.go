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
)

// until waits for a state of the mirror.
func until(t *testing.T, m *mirror, what string, holds func(state) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		now := m.now("", "")
		if holds(now) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("it does not come to %s: %+v", what, now.link)
		case <-now.changed:
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
	m := newMirror(c, "", func(err error) string { return err.Error() })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { m.run(ctx); close(ended) }()

	until(t, m, "Microservices without Releases", func(s state) bool {
		return s.link.Loaded && s.link.Problem == "" && s.link.Releases == "you may not" && len(s.microservices) == 1
	})
	refused.Store(false)
	until(t, m, "Releases as soon as they may be read", func(s state) bool { return s.link.Releases == "" })

	for i, of := range []string{"scores", "scores", "other"} {
		made := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: of + "-" + string(rune('1'+i))}, Spec: v1alpha1.ReleaseSpec{Microservice: of, Number: int64(i + 1)}}
		if err := c.Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	until(t, m, "three Releases", func(s state) bool { return len(s.releases) == 3 })
	if own := m.now("music", "scores").releases; len(own) != 2 || own[0].Name != "scores-2" {
		t.Errorf("its own releases, the newest first, are %v", own)
	}
	if elsewhere := m.now("art", "scores"); len(elsewhere.microservices)+len(elsewhere.releases) > 0 {
		t.Errorf("of another namespace there is %+v", elsewhere)
	}
	if err := c.Delete(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	until(t, m, "no Microservice", func(s state) bool { return len(s.microservices) == 0 })
	stop()
	<-ended
}
