package kind

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArguments(t *testing.T) {
	for name, tc := range map[string]struct{ got, want []string }{
		"create writes our kubeconfig and waits": {
			got:  createArguments("/c/.local/kubeconfig"),
			want: []string{"create", "cluster", "--name", "mirubato", "--kubeconfig", "/c/.local/kubeconfig", "--wait", "180s"},
		},
		"delete clears our kubeconfig": {
			got:  deleteArguments("/c/.local/kubeconfig"),
			want: []string{"delete", "cluster", "--name", "mirubato", "--kubeconfig", "/c/.local/kubeconfig"},
		},
		"load names our cluster": {
			got:  loadArguments("scores.tar"),
			want: []string{"load", "image-archive", "scores.tar", "--name", "mirubato"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
