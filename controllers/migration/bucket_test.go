package migration

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

const aBucket = "s3://backups?prefix=mirubato%2Fscores%2Fstaging%2F&region=eu-central-1"

func TestEveryEnvironmentHasAPlaceOfItsOwnInABucket(t *testing.T) {
	owner := func(namespace, name, environment string) ownership.Owner {
		return ownership.Owner{Microservice: types.NamespacedName{Namespace: namespace, Name: name}, Environment: environment}
	}
	for name, tc := range map[string]struct {
		backup *Backup
		owner  ownership.Owner
		want   *Backup
	}{
		"none":     {},
		"a claim":  {&Backup{Claim: "backups"}, owner("mirubato", "scores", "staging"), &Backup{Claim: "backups"}},
		"a bucket": {&Backup{Bucket: "s3://backups?region=eu-central-1", Retain: 3}, owner("mirubato", "scores", "staging"), &Backup{Bucket: aBucket, Retain: 3}},
		"below a prefix": {
			&Backup{Bucket: "s3://backups?prefix=a%2F&region=r"}, owner("other", "scores", "production"),
			&Backup{Bucket: "s3://backups?prefix=a%2Fother%2Fscores%2Fproduction%2F&region=r"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := tc.backup
			if before != nil {
				kept := *before
				before = &kept
			}
			if diff := cmp.Diff(tc.want, tc.backup.For(tc.owner)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.backup); diff != "" {
				t.Errorf("what was given has changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestJobsUseABucket(t *testing.T) {
	keys := &v1alpha1.SecretKeyReference{Name: "keys", Key: "aws"}
	inBucket := func(stage Stage, credentials *v1alpha1.SecretKeyReference) Run {
		return run(func(r *Run) {
			r.Stage, r.Rehearsal, r.BackupName = stage, v1alpha1.RehearseData, aBackup
			r.Backup = &Backup{Bucket: aBucket, Retain: 3, Credentials: credentials}
		})
	}
	for name, tc := range map[string]struct {
		run     Run
		told    bool
		mounted string
	}{
		"a backup":                      {inBucket(BackUp, keys), true, "keys/aws"},
		"a rehearsal":                   {inBucket(Rehearse, keys), true, "keys/aws"},
		"a restore":                     {inBucket(restore, keys), true, "keys/aws"},
		"a backup by the role of a pod": {inBucket(BackUp, nil), true, ""},
		"migrations":                    {inBucket(Expand, keys), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := rendered(t, tc.run, 1).Spec.Template.Spec
			at := slices.Index(pod.Containers[0].Args, "--location")
			if told := at >= 0 && pod.Containers[0].Args[at+1] == aBucket; told != tc.told {
				t.Errorf("arguments %v", pod.Containers[0].Args)
			}
			mounted, variable := "", ""
			for _, volume := range pod.Volumes {
				if volume.PersistentVolumeClaim != nil {
					t.Errorf("a claim is mounted: %v", volume)
				}
				if volume.Name == "backups" && volume.Projected != nil {
					source := volume.Projected.Sources[0].Secret
					mounted = source.Name + "/" + source.Items[0].Key
				}
			}
			for _, env := range pod.Containers[0].Env {
				if env.Name == contract.EnvStorageCredentialsFile {
					variable = env.Value
				}
			}
			if mounted != tc.mounted || (variable == contract.StorageCredentialsFile) != (tc.mounted != "") {
				t.Errorf("mounted %q, told %q", mounted, variable)
			}
			if tc.mounted != "" && !slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.MountPath == contract.StorageDir && m.ReadOnly && m.Name == "backups"
			}) {
				t.Errorf("mounts %v", pod.Containers[0].VolumeMounts)
			}
		})
	}
}
