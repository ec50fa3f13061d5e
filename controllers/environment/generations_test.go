package environment

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestGenerationsAreFiles(t *testing.T) {
	level := settings.LogDebug
	some := settings.Settings{Logging: &settings.Logging{Level: &level}}
	m, err := Generations{Current: 7, Key: "a key", ByNumber: map[int64]settings.Settings{7: {}, 8: some}}.ConfigMap(place())
	if err != nil {
		t.Fatal(err)
	}
	var got corev1.ConfigMap
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object().Object, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"current": "7", "key.pem": "a key", "7.yaml": "{}\n", "8.yaml": "logging:\n  level: debug\n"}
	if diff := cmp.Diff(want, got.Data); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, text := range got.Data {
		if _, err := settings.Decode([]byte(text)); strings.HasSuffix(name, ".yaml") && err != nil {
			t.Errorf("%s is not what a service reads: %v", name, err)
		}
	}
	if text, err := (Generations{ByNumber: map[int64]settings.Settings{8: some}}).Text(8); err != nil || text != got.Data["8.yaml"] {
		t.Errorf("sent is %q, %v, and written %q", text, err, got.Data["8.yaml"])
	}
	if _, err := (Generations{}).Text(8); err == nil {
		t.Error("a generation that there is not has a text")
	}
	if got.Name != "scores-settings" || got.Immutable != nil {
		t.Errorf("ConfigMap %s, immutable %v", got.Name, got.Immutable)
	}
}

func TestOnlySettingsThatSaySomethingAreAwaited(t *testing.T) {
	for name, tc := range map[string]struct {
		of   map[int64]settings.Settings
		want bool
	}{
		"no release":              {nil, true},
		"none says anything":      {map[int64]settings.Settings{1: {}, 2: {}}, true},
		"the one before did":      {map[int64]settings.Settings{1: {Logging: &settings.Logging{}}, 2: {}}, false},
		"the one that comes does": {map[int64]settings.Settings{1: {}, 2: {Logging: &settings.Logging{}}}, false},
	} {
		if got := (Generations{ByNumber: tc.of}).Empty(); got != tc.want {
			t.Errorf("%s: empty is %t", name, got)
		}
	}
}

// Settings reach pods that run: nothing of what the pods are made from may change with them.
func TestSettingsReplaceNoPod(t *testing.T) {
	level := settings.LogDebug
	before := childrenOf(t, full())
	after := childrenOf(t, full(func(c *Content) {
		c.Settings, c.Generation = settings.Settings{Logging: &settings.Logging{Level: &level}}, 8
	}))
	if before.Content != after.Content || before.Version != after.Version || before.MigrationHash != after.MigrationHash {
		t.Error("other settings are another content")
	}
	if before.Settings == after.Settings {
		t.Error("other settings have the same hash")
	}
}

// The kubelet refreshes only whole directories.
func TestSettingsAreMountedAsDirectories(t *testing.T) {
	pod := find[appsv1.Deployment](t, childrenOf(t, full()), "Deployment").Spec.Template.Spec
	mounts := map[string]string{}
	for _, mount := range pod.Containers[0].VolumeMounts {
		if mount.SubPath != "" {
			t.Errorf("%s is mounted as a single file", mount.MountPath)
		}
		mounts[mount.Name] = mount.MountPath
	}
	for _, volume := range pod.Volumes {
		switch {
		case volume.ConfigMap != nil:
			if volume.ConfigMap.Name != "scores-settings" || mounts[volume.Name] != contract.SettingsDir {
				t.Errorf("ConfigMap %s is mounted on %s", volume.ConfigMap.Name, mounts[volume.Name])
			}
		case volume.DownwardAPI != nil:
			got := map[string]string{}
			for _, file := range volume.DownwardAPI.Items {
				got[mounts[volume.Name]+"/"+file.Path] = file.FieldRef.FieldPath
			}
			want := map[string]string{
				contract.SettingsGenerationFile: "metadata.annotations['" + contract.SettingsGenerationAnnotation + "']",
				contract.SettingsSequenceFile:   "metadata.annotations['" + contract.SettingsSequenceAnnotation + "']",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what is written of the pod (-want +got):\n%s", diff)
			}
		default:
			continue
		}
		delete(mounts, volume.Name)
	}
	if len(mounts) != 3 { // the Secrets of the database, of the tokens and of the service's own variables
		t.Errorf("the settings or the number are not mounted; what else is: %v", mounts)
	}
}

func TestSettingsThatFitIntoNoConfigMapAreWaitedFor(t *testing.T) {
	large := settings.Settings{CORS: &settings.CORS{}}
	for range 64 {
		large.CORS.Origins = append(large.CORS.Origins, "https://"+strings.Repeat("a", 4<<10)+".example.com")
	}
	of := func(n int64) Generations {
		out := Generations{ByNumber: map[int64]settings.Settings{}}
		for i := range n {
			out.ByNumber[i+1] = large
		}
		return out
	}
	for name, tc := range map[string]struct {
		generations int64
		fit         bool
	}{
		"none": {0, true}, "as many as fit": {3, true}, "one too many": {4, false},
	} {
		t.Run(name, func(t *testing.T) {
			size, err := of(tc.generations).Size()
			if err != nil {
				t.Fatal(err)
			}
			waiting := Blocked(place(), Facts{Namespace: NamespaceFacts{Exists: true, Consents: true}, SettingsSize: size})
			if (waiting == nil) != tc.fit {
				t.Fatalf("%d bytes: waits for %+v", size, waiting)
			}
			if waiting != nil && (waiting.Type != v1alpha1.WaitSettings || !strings.Contains(waiting.Message, "scores-settings holds 1024") || !strings.Contains(waiting.Unblock, "spec.settings")) {
				t.Errorf("waits for %+v", waiting)
			}
		})
	}
}
