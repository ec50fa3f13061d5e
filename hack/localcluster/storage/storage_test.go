package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func TestVolumeLifetime(t *testing.T) {
	d := directories{root: t.TempDir(), node: "n1"}
	volume, _, err := d.Provision(t.Context(), claim("pvc-1", corev1.PersistentVolumeFilesystem))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(volume.Spec.Local.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o777 {
		t.Errorf("mode %v, want any user to write", info.Mode())
	}
	if got := volume.Spec.Capacity.Storage().String(); got != "1Gi" {
		t.Errorf("capacity %s, want what was claimed", got)
	}
	if got := volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]; got != "n1" {
		t.Errorf("the volume is on %s, want n1", got)
	}

	if err := os.WriteFile(filepath.Join(volume.Spec.Local.Path, "row"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again, _, err := d.Provision(t.Context(), claim("pvc-1", corev1.PersistentVolumeFilesystem))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(again.Spec.Local.Path, "row")); err != nil {
		t.Errorf("provisioning again lost data: %v", err)
	}

	for range 2 {
		if err := d.Delete(t.Context(), volume); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(volume.Spec.Local.Path); !os.IsNotExist(err) {
		t.Errorf("the directory stayed: %v", err)
	}
}

func TestProvisionRefusesBlockDevices(t *testing.T) {
	d := directories{root: t.TempDir()}
	if _, _, err := d.Provision(t.Context(), claim("pvc-1", corev1.PersistentVolumeBlock)); err == nil {
		t.Error("a block device was promised")
	}
}

func TestDeleteLeavesOthersAlone(t *testing.T) {
	d := directories{root: t.TempDir()}
	elsewhere := t.TempDir()
	err := d.Delete(t.Context(), &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: elsewhere}},
	}})
	var ignored *controller.IgnoredError
	if !errors.As(err, &ignored) {
		t.Errorf("got %v, want it ignored", err)
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Errorf("a foreign directory was removed: %v", err)
	}
}

func claim(volume string, mode corev1.PersistentVolumeMode) controller.ProvisionOptions {
	return controller.ProvisionOptions{
		PVName:       volume,
		StorageClass: &storagev1.StorageClass{},
		PVC: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
			VolumeMode: &mode,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		}},
	}
}
