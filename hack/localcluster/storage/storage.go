// Package storage serves volume claims of a one-node cluster from directories of that node. It owns the directories
// below the one it is given; which claims reach it is decided by the StorageClass that names Provisioner.
package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Provisioner is the name by which a StorageClass asks for these volumes.
const Provisioner = "localcluster.mirubato.com/directory"

// Run serves claims until ctx ends. directory holds the volumes and is a path on node.
func Run(ctx context.Context, kubeconfig, directory, node string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig of the storage: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for the storage: %w", err)
	}
	controller.NewProvisionController(ctx, client, Provisioner, directories{root: directory, node: node},
		controller.LeaderElection(false), // there is one node
	).Run(ctx)
	return nil
}

// directories makes one directory a volume, named like the volume.
type directories struct {
	root string
	node string
}

// Provision makes the directory of a volume. Making it twice is the same as making it once.
func (d directories) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if mode := options.PVC.Spec.VolumeMode; mode != nil && *mode == corev1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, errors.New("this cluster serves directories, no block devices")
	}
	path := filepath.Join(d.root, options.PVName)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("making the directory of volume %s: %w", options.PVName, err)
	}
	// Pods that name no fsGroup run as any user and expect to write, as on a fresh disk; the umask took that away.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("opening volume %s to its pods: %w", options.PVName, err)
	}
	return d.volume(options, path), controller.ProvisioningFinished, nil
}

// volume is a local volume, not a hostPath: only for those does the kubelet honour fsGroup.
func (d directories) volume(options controller.ProvisionOptions, path string) *corev1.PersistentVolume {
	policy := corev1.PersistentVolumeReclaimDelete
	if options.StorageClass.ReclaimPolicy != nil {
		policy = *options.StorageClass.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: policy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: options.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{d.node},
				}}}},
			}},
		},
	}
}

// Delete removes the directory of a volume with all that is in it.
func (d directories) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.Local == nil || filepath.Dir(volume.Spec.Local.Path) != filepath.Clean(d.root) {
		return &controller.IgnoredError{Reason: "the volume is no directory of this storage"}
	}
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return fmt.Errorf("removing the directory of volume %s: %w", volume.Name, err)
	}
	return nil
}
