package environment

import (
	"cmp"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Defaults of the fields of v1alpha1.StorageSpec. Region is what storages besides AWS take for theirs.
const (
	defaultRegion         = "us-east-1"
	defaultCredentialsKey = "credentials"
)

// volumeFiles is the name of the volume that holds the files.
const volumeFiles = "files"

// Storage is where files are kept: on a volume, or in a bucket. A nil Storage is nowhere.
type Storage struct {
	// Claim is the name of a PersistentVolumeClaim, empty for a bucket.
	Claim string
	// Bucket is an s3:// URL without credentials, empty for a claim. Credentials may be nil.
	Bucket      string
	Credentials *v1alpha1.SecretKeyReference
}

// mergeStorage takes the kind of storage from the override if it names one, and merges buckets field by field.
func mergeStorage(base, over *v1alpha1.StorageSpec) *Storage {
	if base == nil {
		return nil
	}
	over = cmp.Or(over, &v1alpha1.StorageSpec{})
	if claim := cmp.Or(over.FileSystem, base.FileSystem); claim != nil && over.S3 == nil {
		return &Storage{Claim: claim.ClaimName}
	}
	return mergeBucket(or(base.S3, v1alpha1.S3Spec{}), or(over.S3, v1alpha1.S3Spec{}))
}

func mergeBucket(base, over v1alpha1.S3Spec) *Storage {
	parameters := url.Values{"region": {or(cmp.Or(over.Region, base.Region), defaultRegion)}}
	if endpoint := or(cmp.Or(over.Endpoint, base.Endpoint), ""); endpoint != "" {
		parameters.Set("endpoint", endpoint)
		parameters.Set("use_path_style", "true")
		if strings.HasPrefix(endpoint, "http://") {
			parameters.Set("disable_https", "true")
		}
	}
	if prefix := or(cmp.Or(over.Prefix, base.Prefix), ""); prefix != "" {
		parameters.Set("prefix", prefix)
	}
	bucket := url.URL{Scheme: "s3", Host: or(cmp.Or(over.Bucket, base.Bucket), ""), RawQuery: parameters.Encode()}
	return &Storage{
		Bucket:      bucket.String(),
		Credentials: withKey(cmp.Or(over.SecretRef, base.SecretRef), defaultCredentialsKey),
	}
}

func (s *Storage) credentials() *v1alpha1.SecretKeyReference {
	if s == nil {
		return nil
	}
	return s.Credentials
}

// SharedClaim is the name of the claim that the pods share, empty if they share none.
func (s *Storage) SharedClaim() string {
	if s == nil {
		return ""
	}
	return s.Claim
}

// setVariables adds what tells the service where its files are.
func (s *Storage) setVariables(data map[string]string) {
	if s == nil {
		return
	}
	data[contract.EnvStorage] = cmp.Or(s.Bucket, contract.FilesDir)
	if s.Credentials != nil {
		data[contract.EnvStorageCredentialsFile] = contract.StorageCredentialsFile
	}
}

// mount gives a pod the volume of the files.
func (s *Storage) mount(pod *corev1ac.PodSpecApplyConfiguration, container *corev1ac.ContainerApplyConfiguration) {
	if s.SharedClaim() == "" {
		return
	}
	// Only the root is looked at: going through all files whenever a pod starts would take as long as there are files.
	pod.SecurityContext.WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch)
	pod.WithVolumes(corev1ac.Volume().WithName(volumeFiles).WithPersistentVolumeClaim(
		corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(s.Claim)))
	container.WithVolumeMounts(corev1ac.VolumeMount().WithName(volumeFiles).WithMountPath(contract.VolumeDir))
}
