package charts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/controllers/ownership"
)

func TestNamespacesConsent(t *testing.T) {
	label, problem := ownership.ConsentLabel(types.NamespacedName{Namespace: "mirubato", Name: "scores"})
	if problem != "" {
		t.Fatal(problem)
	}
	r := mustRender(t, serviceChart, parse(t, sampleSpec), kubernetes)
	for _, name := range []string{"scores-staging", "scores-production"} {
		namespace := find(t, r, "Namespace", name)
		if got := namespace.GetLabels()[label]; got != "true" {
			t.Errorf("%s consents %q", name, got)
		}
		if got := namespace.GetAnnotations()["helm.sh/resource-policy"]; got != "keep" {
			t.Errorf("%s goes with the release", name)
		}
	}
	if strings.Contains(r.notes, "kubectl label") {
		t.Errorf("the notes ask for what is done:\n%s", r.notes)
	}
}

// TestNotesNameTheLabelsThatAreMissing: the release's own namespace is there before the release is.
func TestNotesNameTheLabelsThatAreMissing(t *testing.T) {
	const label = " consent.platform.mirubato.com/mirubato.scores=true"
	for name, tc := range map[string]struct {
		values string
		want   []string
	}{
		"none is made":         {"namespaces: {create: false}" + sampleSpec, []string{"scores-staging", "scores-production"}},
		"the release's own is": {strings.Replace(sampleSpec, "namespace: scores-staging", "namespace: mirubato", 1), []string{"mirubato"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRender(t, serviceChart, parse(t, tc.values), kubernetes)
			var got []string
			for line := range strings.Lines(r.notes) {
				if rest, found := strings.CutPrefix(strings.TrimSpace(line), "kubectl label namespace "); found {
					got = append(got, strings.TrimSuffix(rest, label))
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("namespaces to label (-want +got):\n%s", diff)
			}
			for _, namespace := range tc.want {
				if find(t, r, "Namespace", namespace) != nil {
					t.Errorf("%s is made", namespace)
				}
			}
		})
	}
}

// TestNothingIsMadeForAnotherCluster: what a chart makes is in the cluster that it is installed to.
func TestNothingIsMadeForAnotherCluster(t *testing.T) {
	const at = "namespace: scores-production"
	r := mustRender(t, serviceChart, parse(t, strings.Replace(databaseSpec, at, at+"\n    cluster: {kubeconfigSecretRef: {name: west}}", 1)), kubernetes)
	made := 0
	for _, object := range r.objects(t) {
		if object.GetNamespace() == "scores-production" || object.GetName() == "scores-production" {
			t.Errorf("%s is made", key(object))
		}
		if object.GetNamespace() == "scores-staging" || object.GetName() == "scores-staging" {
			made++
		}
	}
	if made == 0 {
		t.Error("nothing is made for the environment in this cluster")
	}
	if want := "production, Secret west: kubectl label namespace scores-production consent.platform.mirubato.com/mirubato.scores=true"; !strings.Contains(r.notes, want) {
		t.Errorf("the notes lack %q:\n%s", want, r.notes)
	}
}

func TestSampleSecretsAreThoseThatTheSpecNames(t *testing.T) {
	got := map[string]map[string]any{}
	r := mustRender(t, serviceChart, parse(t, databaseSpec), kubernetes)
	for _, object := range r.objects(t) {
		if object.GetKind() != "Secret" {
			continue
		}
		content, _ := object.Object["stringData"].(values)
		if secret, signs := content["secret"].(string); signs {
			if len(secret) < 32 {
				t.Errorf("%s has %d characters: too few to sign with", key(object), len(secret))
			}
			content["secret"] = "random"
		}
		got[key(object)] = content
	}
	if diff := cmp.Diff(map[string]map[string]any{
		"Secret scores-staging/scores-database":        {"url": "postgres://app@staging/scores"},
		"Secret scores-staging/scores-owner":           {"dsn": "postgres://owner@staging/scores"},
		"Secret scores-staging/scores-auth":            {"secret": "random"},
		"Secret scores-production/production-database": {"url": "postgres://app@production/scores"},
		"Secret scores-production/scores-owner":        {"dsn": "postgres://owner@production/scores"},
		"Secret scores-production/scores-auth":         {"secret": "random"},
	}, got); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
}

// TestLongestNameConsents: 63 characters are what a label may have.
func TestLongestNameConsents(t *testing.T) {
	longest := "name: " + strings.Repeat("a", 40) + sampleSpec
	if _, err := render(serviceChart, parse(t, longest), kubernetes); err != nil {
		t.Error(err) // the namespace is mirubato, so there is room
	}
}
