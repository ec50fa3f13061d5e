package environment

import (
	"fmt"
	"path"
	"strconv"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/controllers/manifest"
)

// SettingsName is the name of the ConfigMap of the generations of settings. No hash of a content is so short.
func (p Place) SettingsName() string { return p.Name() + "-settings" }

// Generations are the settings that pods of an environment may ask for, by number. Current is for pods without an annotation. Key
// verifies what is sent to pods; empty for none.
type Generations struct {
	Current  int64
	Key      string
	ByNumber map[int64]settings.Settings
}

// Empty reports whether every generation leaves everything at its default: there is nothing to be taken by pods then.
func (g Generations) Empty() bool {
	for _, each := range g.ByNumber {
		if each != (settings.Settings{}) {
			return false
		}
	}
	return true
}

// maxSettings is how many bytes all values of a ConfigMap may have together.
const maxSettings = 1 << 20

// Size is how many bytes the files of all generations have together.
func (g Generations) Size() (int, error) {
	data, err := g.files()
	size := 0
	for _, text := range data {
		size += len(text)
	}
	return size, err
}

// ConfigMap holds one file for each generation.
func (g Generations) ConfigMap(place Place) (manifest.Manifest, error) {
	data, err := g.files()
	if err != nil {
		return manifest.Manifest{}, err
	}
	return manifest.New(corev1ac.ConfigMap(place.SettingsName(), place.Namespace).WithLabels(place.labels()).WithData(data))
}

func (g Generations) files() (map[string]string, error) {
	data := map[string]string{contract.SettingsCurrentFile: strconv.FormatInt(g.Current, 10)}
	for number, each := range g.ByNumber {
		text, err := encode(number, each)
		if err != nil {
			return nil, err
		}
		data[contract.SettingsFile(number)] = text
	}
	if g.Key != "" {
		data[contract.SettingsKeyFile] = g.Key
	}
	return data, nil
}

// Text is what the file of one generation holds. The error is about one that there is not.
func (g Generations) Text(number int64) (string, error) {
	each, there := g.ByNumber[number]
	if !there {
		return "", fmt.Errorf("there is no generation %d of the settings", number)
	}
	return encode(number, each)
}

func encode(number int64, each settings.Settings) (string, error) {
	text, err := yaml.Marshal(each)
	if err != nil {
		return "", fmt.Errorf("encoding generation %d of the settings: %w", number, err)
	}
	return string(text), nil
}

// addSettings mounts the generations and the pod's own number, both as whole directories: the kubelet refreshes only those.
func addSettings(pod *corev1ac.PodSpecApplyConfiguration, container *corev1ac.ContainerApplyConfiguration, place Place) {
	const generations, own = "settings", "pod"
	pod.WithVolumes(
		corev1ac.Volume().WithName(generations).WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(place.SettingsName())),
		corev1ac.Volume().WithName(own).WithDownwardAPI(corev1ac.DownwardAPIVolumeSource().WithItems(
			annotationFile(contract.SettingsGenerationFile, contract.SettingsGenerationAnnotation),
			annotationFile(contract.SettingsSequenceFile, contract.SettingsSequenceAnnotation))))
	container.WithVolumeMounts(
		corev1ac.VolumeMount().WithName(generations).WithMountPath(contract.SettingsDir).WithReadOnly(true),
		corev1ac.VolumeMount().WithName(own).WithMountPath(contract.PodDir).WithReadOnly(true))
}

func annotationFile(name, annotation string) *corev1ac.DownwardAPIVolumeFileApplyConfiguration {
	return corev1ac.DownwardAPIVolumeFile().
		WithPath(path.Base(name)).
		WithFieldRef(corev1ac.ObjectFieldSelector().WithFieldPath("metadata.annotations['" + annotation + "']"))
}
