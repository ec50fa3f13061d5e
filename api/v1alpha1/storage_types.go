package v1alpha1

// StorageSpec is where the service keeps files. The operator never makes or removes a volume or a bucket.
//
// +kubebuilder:validation:XValidation:rule="has(self.fileSystem) != has(self.s3)",message="storage is either fileSystem or s3; set one of them"
type StorageSpec struct {
	// fileSystem is a volume that all pods share.
	// +optional
	FileSystem *FileSystemSpec `json:"fileSystem,omitempty"`
	// s3 is a bucket of AWS, or of any storage that speaks its language.
	// +optional
	S3 *S3Spec `json:"s3,omitempty"`
}

// FileSystemSpec is a volume.
type FileSystemSpec struct {
	// claimName of a PersistentVolumeClaim in each environment's namespace. Its access mode must be ReadWriteMany: old and new
	// pods write to it side by side.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of a PersistentVolumeClaim"
	ClaimName string `json:"claimName"`
}

// S3Spec is a bucket and how it is reached.
type S3Spec struct {
	// bucket by its name: 3 to 63 of a-z, 0-9, '-' and '.'. It must exist.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]$`
	Bucket *string `json:"bucket,omitempty"`
	// region of the bucket. Default: us-east-1.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9]{1,62}$`
	Region *string `json:"region,omitempty"`
	// endpoint is the URL of a storage that is not AWS, such as https://minio.example.com:9000. Buckets are then named in the path.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?$')",message="must be http(s)://HOST, with a port if need be"
	Endpoint *string `json:"endpoint,omitempty"`
	// prefix of the keys, which ends in '/', such as scores/. Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^([a-zA-Z0-9][-_.a-zA-Z0-9]*/)*$`
	Prefix *string `json:"prefix,omitempty"`
	// secretRef names the Secret, in each environment's namespace, that holds a credentials file of AWS, profile default. Default of
	// its key: credentials. Without it the role of the pod or its node counts.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
}
