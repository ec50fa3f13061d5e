package environment

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/migration"
)

func claimOf(name string) *v1alpha1.StorageSpec {
	return &v1alpha1.StorageSpec{FileSystem: &v1alpha1.FileSystemSpec{ClaimName: name}}
}

func bucketOf(s3 v1alpha1.S3Spec) *v1alpha1.StorageSpec { return &v1alpha1.StorageSpec{S3: &s3} }

func TestStorageIsMerged(t *testing.T) {
	credentials := &v1alpha1.SecretKeyReference{Name: "storage"}
	base := bucketOf(v1alpha1.S3Spec{
		Bucket: new("files"), Region: new("eu-central-1"), Endpoint: new("http://minio:9000"), Prefix: new("a/"), SecretRef: credentials,
	})
	const all = "s3://files?disable_https=true&endpoint=http%3A%2F%2Fminio%3A9000&prefix=a%2F&region=eu-central-1&use_path_style=true"
	for name, tc := range map[string]struct {
		base, over *v1alpha1.StorageSpec
		want       *Storage
	}{
		"none":                         {},
		"a claim":                      {base: claimOf("files"), want: &Storage{Claim: "files"}},
		"another claim":                {base: claimOf("files"), over: claimOf("mine"), want: &Storage{Claim: "mine"}},
		"a bucket of AWS":              {base: bucketOf(v1alpha1.S3Spec{Bucket: new("files")}), want: &Storage{Bucket: "s3://files?region=us-east-1"}},
		"every field of a bucket":      {base: base, want: &Storage{Bucket: all, Credentials: secret("storage", "credentials")}},
		"a bucket in place of a claim": {base: claimOf("files"), over: bucketOf(v1alpha1.S3Spec{Bucket: new("b3b")}), want: &Storage{Bucket: "s3://b3b?region=us-east-1"}},
		"a claim in place of a bucket": {base: base, over: claimOf("mine"), want: &Storage{Claim: "mine"}},
		"another bucket at the same place": {
			base: base, over: bucketOf(v1alpha1.S3Spec{Bucket: new("prod"), SecretRef: secret("own", "k")}),
			want: &Storage{Bucket: strings.Replace(all, "//files", "//prod", 1), Credentials: secret("own", "k")},
		},
		"no prefix, and encrypted": {
			base: base, over: bucketOf(v1alpha1.S3Spec{Prefix: new(""), Endpoint: new("https://s3.example.com")}),
			want: &Storage{
				Bucket:      "s3://files?endpoint=https%3A%2F%2Fs3.example.com&region=eu-central-1&use_path_style=true",
				Credentials: secret("storage", "credentials"),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, mergeStorage(tc.base, tc.over)); diff != "" {
				t.Errorf("storage (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodsAreToldWhereTheirFilesAre(t *testing.T) {
	plain := childrenOf(t, full())
	for name, tc := range map[string]struct {
		storage   *Storage
		variables map[string]string
		mounts    map[string]string // path to what is mounted there
	}{
		"a volume": {
			&Storage{Claim: "files"},
			map[string]string{"STORAGE": contract.FilesDir},
			map[string]string{contract.VolumeDir: "claim files"},
		},
		"a bucket with credentials": {
			&Storage{Bucket: "s3://b", Credentials: secret("keys", "aws")},
			map[string]string{"STORAGE": "s3://b", "AWS_SHARED_CREDENTIALS_FILE": contract.StorageCredentialsFile},
			map[string]string{contract.StorageDir: "Secret keys/aws as credentials"},
		},
		"a bucket by the role of the pod": {&Storage{Bucket: "s3://b"}, map[string]string{"STORAGE": "s3://b"}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			children := childrenOf(t, full(func(c *Content) { c.Storage = tc.storage }))
			if children.Content == plain.Content {
				t.Error("the pods stay as they are")
			}
			if children.MigrationHash != plain.MigrationHash {
				t.Error("migrations run again")
			}
			variables := added(find[corev1.ConfigMap](t, plain, "ConfigMap").Data, find[corev1.ConfigMap](t, children, "ConfigMap").Data)
			if diff := cmp.Diff(tc.variables, variables); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
			stable := find[appsv1.Deployment](t, children, "Deployment").Spec.Template.Spec
			before := mounts(find[appsv1.Deployment](t, plain, "Deployment").Spec.Template.Spec)
			if diff := cmp.Diff(tc.mounts, added(before, mounts(stable))); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(mounts(stable), mounts(canaryOf(t, children))); diff != "" {
				t.Errorf("mounts (-stable +canary):\n%s", diff)
			}
			policy := stable.SecurityContext.FSGroupChangePolicy
			if onlyRoot := policy != nil && *policy == corev1.FSGroupChangeOnRootMismatch; onlyRoot != (tc.storage.Claim != "") {
				t.Errorf("every file is looked at when a pod starts: %t", !onlyRoot)
			}
		})
	}
}

// Whoever sets the variables of the storage by hand is told of the field.
func TestVariablesOfTheStorageAreReserved(t *testing.T) {
	crd, err := os.ReadFile("../../config/crd/bases/platform.mirubato.com_microservices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{contract.EnvStorage, contract.EnvStorageCredentialsFile} {
		if !strings.Contains(string(crd), "'"+name+"'") {
			t.Errorf("%s is set by the operator, but the API lets users set it as well", name)
		}
	}
}

func TestClaimsMustBeShared(t *testing.T) {
	inside := NamespaceFacts{Exists: true, Consents: true}
	for name, tc := range map[string]struct {
		claim ClaimFacts
		want  string
	}{
		"no claim is needed": {},
		"one is shared":      {claim: ClaimFacts{Name: "files", Exists: true, Shared: true}},
		"it is missing":      {ClaimFacts{Name: "files"}, "does not exist in namespace scores-staging"},
		"it is for one node": {ClaimFacts{Name: "files", Exists: true}, "cannot be shared by several pods"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Blocked(place(), Facts{Namespace: inside, Claim: tc.claim})
			if (got != nil) != (tc.want != "") {
				t.Fatalf("waits for %+v", got)
			}
			if got != nil && (got.Type != v1alpha1.WaitVolume || !strings.Contains(got.Message, tc.want) || !strings.Contains(got.Message, "spec.storage.fileSystem.claimName") || got.Unblock == "") {
				t.Errorf("waits for %+v", got)
			}
		})
	}
}

func TestSecretOfTheStorageIsLookedFor(t *testing.T) {
	content := defaults()
	content.Storage = &Storage{Bucket: "s3://b", Credentials: secret("keys", "aws")}
	want := []SecretUse{{Secret: *secret("keys", "aws"), Field: "storage.s3.secretRef"}}
	if diff := cmp.Diff(want, SecretUses(content)); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

func TestSecretOfABucketOfBackupsIsLookedFor(t *testing.T) {
	content := defaults()
	content.Database = defaultDatabase()
	content.Database.Backup = &migration.Backup{Bucket: "s3://b", Credentials: secret("keys", "aws")}
	want := []SecretUse{{Secret: content.Database.Secret, Field: "database.secretRef"}, {Secret: *secret("keys", "aws"), Field: "database.backup.s3.secretRef"}}
	if diff := cmp.Diff(want, SecretUses(content)); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

// canaryOf is the pod of the Deployment beside the stable one.
func canaryOf(t *testing.T, children Children) corev1.PodSpec {
	t.Helper()
	manifests, err := children.Canary(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		if m.Kind() != "Deployment" {
			continue
		}
		out := &appsv1.Deployment{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m.Object().Object, out, true); err != nil {
			t.Fatal(err)
		}
		return out.Spec.Template.Spec
	}
	t.Fatal("there is no canary")
	return corev1.PodSpec{}
}

// mounts are what lies where in the service's container.
func mounts(pod corev1.PodSpec) map[string]string {
	volumes := map[string]string{}
	for _, volume := range pod.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			volumes[volume.Name] = "claim " + volume.PersistentVolumeClaim.ClaimName
		case volume.Projected != nil:
			for _, source := range volume.Projected.Sources {
				if source.Secret != nil {
					item := source.Secret.Items[0]
					volumes[volume.Name] = "Secret " + source.Secret.Name + "/" + item.Key + " as " + item.Path
				}
			}
		}
	}
	out := map[string]string{}
	for _, mount := range pod.Containers[0].VolumeMounts {
		out[mount.MountPath] = volumes[mount.Name]
	}
	return out
}

// added are the entries that before has not, but for the name of the release.
func added(before, after map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range after {
		if _, there := before[key]; !there {
			out[key] = value
		}
	}
	return out
}
