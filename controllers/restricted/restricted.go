// Package restricted holds the parts that every pod of the operator's making shares: the security context that the
// "restricted" Pod Security Standard asks for, the nodes that they may run on, and Secrets mounted as files. It knows nothing of what the pods do.
//
// Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
package restricted

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// userID is an unprivileged user that needs no entry in the image's /etc/passwd.
const userID = 65532

// secretMode makes mounted Secrets readable by the pod's user and group only.
const secretMode = 0o440

// PodSpec returns a pod that runs as nobody, without a token for the API server.
func PodSpec() *corev1ac.PodSpecApplyConfiguration {
	return corev1ac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(userID).
			WithRunAsGroup(userID).
			WithFSGroup(userID).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))
}

// Placement is on which nodes pods may run, and whose pods make room for others first. The zero value is any node, no priority.
type Placement struct {
	PriorityClass string
	NodeSelector  map[string]v1alpha1.LabelValue
	Tolerations   []v1alpha1.Toleration
}

// Apply adds the placement to a pod.
func (p Placement) Apply(pod *corev1ac.PodSpecApplyConfiguration) {
	if p.PriorityClass != "" {
		pod.WithPriorityClassName(p.PriorityClass)
	}
	for key, value := range p.NodeSelector {
		pod.WithNodeSelector(map[string]string{key: string(value)})
	}
	for _, toleration := range p.Tolerations {
		pod.WithTolerations(tolerationOf(toleration))
	}
}

func tolerationOf(given v1alpha1.Toleration) *corev1ac.TolerationApplyConfiguration {
	out := corev1ac.Toleration().WithKey(given.Key).WithOperator(corev1.TolerationOpExists)
	if given.Value != nil {
		out.WithOperator(corev1.TolerationOpEqual).WithValue(*given.Value)
	}
	if given.Effect != nil {
		out.WithEffect(corev1.TaintEffect(*given.Effect))
	}
	return out
}

// Container returns a container that can neither write to its image nor gain a privilege.
func Container(name, image string) *corev1ac.ContainerApplyConfiguration {
	return corev1ac.Container().
		WithName(name).
		WithImage(image).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL")))
}

// SmallResources are enough for a program that waits for a database most of its time.
func SmallResources() *corev1ac.ResourceRequirementsApplyConfiguration {
	return corev1ac.ResourceRequirements().
		WithRequests(corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("50m"),
			corev1.ResourceMemory: resource.MustParse("64Mi"),
		}).
		WithLimits(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")})
}

// SecretFile is one key of a Secret and the path of the file that it becomes.
type SecretFile struct {
	Secret v1alpha1.SecretKeyReference
	Path   string
}

// SecretVolume returns a volume with one file for each key. All files lie in the directory that the volume is mounted on;
// a projected volume, because they may come from different Secrets.
func SecretVolume(name string, files ...SecretFile) *corev1ac.VolumeApplyConfiguration {
	projected := corev1ac.ProjectedVolumeSource().WithDefaultMode(secretMode)
	for _, file := range files {
		projected.WithSources(corev1ac.VolumeProjection().WithSecret(corev1ac.SecretProjection().
			WithName(file.Secret.Name).
			WithItems(corev1ac.KeyToPath().WithKey(file.Secret.Key).WithPath(path.Base(file.Path)))))
	}
	return corev1ac.Volume().WithName(name).WithProjected(projected)
}
