package microservice_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

func (w *world) createClaim(ctx context.Context, name string, mode corev1.PersistentVolumeAccessMode) {
	w.t.Helper()
	w.must(direct.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(0), Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}))
}

// storage is what the stable pods are told, and the claims and Secrets that they mount.
func (w *world) storage(ctx context.Context) (where string, mounted []string) {
	w.t.Helper()
	pod := w.deployments(ctx)["production"].Spec.Template.Spec
	variables := &corev1.ConfigMap{}
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(0), Name: pod.Containers[0].EnvFrom[0].ConfigMapRef.Name}, variables))
	for _, volume := range pod.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			mounted = append(mounted, volume.PersistentVolumeClaim.ClaimName)
		case volume.Name == "storage":
			mounted = append(mounted, volume.Projected.Sources[0].Secret.Name)
		}
	}
	return variables.Data[contract.EnvStorage], mounted
}

func TestFilesGoToAVolumeThenToABucketThenNowhere(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "production")
	w.ms.Spec.Storage = &v1alpha1.StorageSpec{FileSystem: &v1alpha1.FileSystemSpec{ClaimName: "files"}}
	w.create(ctx)
	blocked := func(kind v1alpha1.WaitType, text string) {
		t.Helper()
		w.reconcile(ctx)
		waiting := w.ms.Status.Environments[0].WaitingFor
		if waiting == nil || waiting.Type != kind || !strings.Contains(waiting.Message, text) {
			t.Fatalf("waits for %+v, want %s %q", waiting, kind, text)
		}
	}
	expect := func(where string, mounted ...string) {
		t.Helper()
		w.verify(ctx)
		gotWhere, gotMounted := w.storage(ctx)
		if gotWhere != where || strings.Join(gotMounted, " ") != strings.Join(mounted, " ") {
			t.Errorf("pods keep files in %q with %v, want %q with %v", gotWhere, gotMounted, where, mounted)
		}
		w.verify(ctx)
		w.expectRest(ctx)
	}
	blocked(v1alpha1.WaitVolume, "PersistentVolumeClaim files does not exist")
	w.createClaim(ctx, "files", corev1.ReadWriteOnce)
	blocked(v1alpha1.WaitVolume, "cannot be shared")
	w.createClaim(ctx, "shared", corev1.ReadWriteMany)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Storage.FileSystem.ClaimName = "shared" })
	expect(contract.FilesDir, "shared")

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
		spec.Storage = &v1alpha1.StorageSpec{S3: &v1alpha1.S3Spec{Bucket: new("files"), SecretRef: &v1alpha1.SecretKeyReference{Name: "bucket"}}}
	})
	blocked(v1alpha1.WaitSecret, "spec.storage.s3.secretRef")
	w.createSecret(ctx, w.namespace(0), "bucket", "credentials")
	expect("s3://files?region=us-east-1", "bucket")

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Storage = nil })
	expect("")

	w.must(direct.Delete(ctx, w.ms))
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	w.reconcile(ctx)
	claim := &corev1.PersistentVolumeClaim{}
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(0), Name: "shared"}, claim))
	if claim.DeletionTimestamp != nil {
		t.Error("the files went with the Microservice")
	}
}
