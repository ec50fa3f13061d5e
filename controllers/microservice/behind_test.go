package microservice

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestVersions(t *testing.T) {
	at := func(name, version string) *v1alpha1.Microservice {
		return &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: name, ResourceVersion: version}}
	}
	for name, tc := range map[string]struct {
		written, read, seen *v1alpha1.Microservice
		forgotten           bool
		want                bool
	}{
		"nothing was written":               {written: at("scores", "9"), read: at("scores", "9"), seen: at("scores", "8")},
		"the cache holds an older one":      {written: at("scores", "10"), read: at("scores", "9"), seen: at("scores", "9"), want: true},
		"numbers are longer, not greater":   {written: at("scores", "9"), read: at("scores", "8"), seen: at("scores", "10")},
		"the cache holds what was written":  {written: at("scores", "10"), read: at("scores", "9"), seen: at("scores", "10")},
		"somebody else has written since":   {written: at("scores", "10"), read: at("scores", "9"), seen: at("scores", "11")},
		"another one":                       {written: at("scores", "10"), read: at("scores", "9"), seen: at("other", "9")},
		"it is gone, and may come anew":     {written: at("scores", "10"), read: at("scores", "9"), seen: at("scores", "9"), forgotten: true},
		"versions that cannot be compared":  {written: at("scores", "10"), read: at("scores", "9"), seen: at("scores", "x")},
		"what is written is no number both": {written: at("scores", "b"), read: at("scores", "a"), seen: at("scores", "a")},
	} {
		t.Run(name, func(t *testing.T) {
			var v versions
			v.remember(tc.written, tc.read.ResourceVersion)
			if tc.forgotten {
				v.forget(client.ObjectKeyFromObject(tc.written))
			}
			if got := v.isBehind(tc.seen); got != tc.want {
				t.Errorf("behind: %t, want %t", got, tc.want)
			}
			if !tc.want && len(v.last) > 0 && tc.seen.Name == tc.written.Name {
				t.Errorf("what the cache has caught up with is kept: %v", v.last)
			}
		})
	}
}

func TestRecords(t *testing.T) {
	of := types.NamespacedName{Namespace: "home", Name: "scores"}
	at := func(uid types.UID, version string) *v1alpha1.Release {
		return &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{UID: uid, ResourceVersion: version}}
	}
	for name, tc := range map[string]struct {
		remembered, cached *v1alpha1.Release
		forgotten          bool
		want               bool
	}{
		"a process that has just begun":    {cached: at("a", "9")},
		"the cache is behind":              {remembered: at("a", "10"), cached: at("a", "9")},
		"the cache has caught up":          {remembered: at("a", "10"), cached: at("a", "10"), want: true},
		"the cache has heard of more":      {remembered: at("a", "9"), cached: at("a", "10"), want: true},
		"another release is asked for":     {remembered: at("a", "9"), cached: at("b", "10")},
		"versions that cannot be compared": {remembered: at("a", "x"), cached: at("a", "x")},
		"the Microservice is gone":         {remembered: at("a", "9"), cached: at("a", "9"), forgotten: true},
	} {
		t.Run(name, func(t *testing.T) {
			var r records
			if tc.remembered != nil {
				r.remember(of, tc.remembered)
			}
			if tc.forgotten {
				r.forget(of)
			}
			if got := r.isKnown(of, tc.cached); got != tc.want {
				t.Errorf("known: %t, want %t", got, tc.want)
			}
		})
	}
}
