package microservice

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
