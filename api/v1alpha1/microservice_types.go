package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/settings"
)

// Microservice is a REST microservice and its way from the first environment to the last.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=msvc,categories=all
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Waiting for",type=string,JSONPath=`.status.environments[*].waitingFor.type`,priority=1
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.image`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40",message="metadata.name must be at most 40 characters of a-z, 0-9 and '-', starting with a letter: the names of its Deployments, Services and Jobs are made from it"
type Microservice struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the user wants. The operator never writes it.
	// +required
	Spec MicroserviceSpec `json:"spec"`

	// status is what the operator last observed.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status MicroserviceStatus `json:"status,omitempty"`
}

// MicroserviceList is a list of Microservices.
//
// +kubebuilder:object:root=true
type MicroserviceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Microservice `json:"items"`
}

// MicroserviceSpec says what runs, with which data, and where.
//
// +kubebuilder:validation:XValidation:rule="has(self.database) || self.environments.all(e, !has(e.overrides) || !has(e.overrides.database))",message="an environment overrides database, but spec.database is not set; set spec.database first"
// +kubebuilder:validation:XValidation:rule="has(self.auth) || self.environments.all(e, !has(e.overrides) || !has(e.overrides.auth))",message="an environment overrides auth, but spec.auth is not set; set spec.auth first"
// +kubebuilder:validation:XValidation:rule="has(self.storage) || self.environments.all(e, !has(e.overrides) || !has(e.overrides.storage))",message="an environment overrides storage, but spec.storage is not set; set spec.storage first"
// +kubebuilder:validation:XValidation:rule="!has(self.storage) || has(self.storage.s3) || self.environments.all(e, !has(e.overrides) || !has(e.overrides.storage) || !has(e.overrides.storage.s3) || has(e.overrides.storage.s3.bucket))",message="an environment overrides storage.s3 without a bucket, and spec.storage has none"
// +kubebuilder:validation:XValidation:rule="has(self.traffic) || self.environments.all(e, !has(e.hosts))",message="an environment has hosts, but spec.traffic is not set"
// +kubebuilder:validation:XValidation:rule="!has(self.traffic) || !has(self.traffic.ingress) || self.environments.exists(e, has(e.hosts))",message="spec.traffic.ingress needs environments with hosts"
type MicroserviceSpec struct {
	// image of the service, with a tag or a digest. It must keep the service contract. Changing it runs the
	// migrations of the new image and then replaces the pods, one environment after the other.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:XValidation:rule="self.matches('(:[^/]*|@sha256:[a-f0-9]{64})$')",message="spec.image must end in a tag or a digest, such as registry.example.com/scores:1.4.0 or scores@sha256:<64 hex digits>; without one it could change under a running release"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?$')",message="spec.image must be the name of an image: an optional registry with '/', a path of lower-case letters, digits, '.', '_', '-' and '/', and a tag or a sha256 digest"
	Image string `json:"image"`

	// workload is how the pods run. Changing it replaces the pods.
	// +optional
	Workload WorkloadSpec `json:"workload,omitempty"`

	// auth is how the service verifies tokens. Changing it replaces the pods. Without it the service gets no
	// secret to verify tokens with.
	// +optional
	Auth *AuthSpec `json:"auth,omitempty"`

	// database is the PostgreSQL database of the service. Without it no migrations are run. Changing it runs the migrations again, and
	// replaces the pods if secretRef changed.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.secretRef)",message="spec.database.secretRef is required: name the Secret that holds the connection URL in every environment's namespace"
	Database *DatabaseSpec `json:"database,omitempty"`

	// storage is where the service keeps files. Changing it replaces the pods, and moves no file. Default: nowhere.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.s3) || has(self.s3.bucket)",message="spec.storage.s3.bucket is required: name the bucket that holds the files"
	Storage *StorageSpec `json:"storage,omitempty"`

	// networkPolicy limits whom the pods talk to. Changing it replaces the pods, each of which keeps the policy that it started
	// with. Default: no limits.
	// +optional
	NetworkPolicy *NetworkPolicySpec `json:"networkPolicy,omitempty"`

	// settings take effect in running pods, without a restart. They are part of the release and pass its gates.
	// +optional
	Settings *settings.Settings `json:"settings,omitempty"`

	// traffic is how requests reach the pods. Default: the Service only. Changing it restarts nothing.
	// +optional
	Traffic *TrafficSpec `json:"traffic,omitempty"`

	// paused leaves everything as it is: nothing is written to any environment until it is false again. Default: false.
	// +optional
	Paused bool `json:"paused,omitempty"` //nolint:kubeapilinter // as in Deployment.spec.paused

	// environments in the order in which a release passes them. The next one is changed only when the one before it
	// has verified the same release.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:XValidation:rule="self.filter(e, !has(e.cluster)).map(e, e.namespace).all(n, self.filter(f, !has(f.cluster) && f.namespace == n).size() == 1)",message="spec.environments[].namespace must be different in every environment: two in one namespace would fight over the same Deployment"
	Environments []EnvironmentSpec `json:"environments"`
}

// EnvironmentSpec is one station on the way of a release.
type EnvironmentSpec struct {
	// name of the environment, given to the pods as ENVIRONMENT.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="an environment's name must be made of a-z, 0-9 and '-', starting with a letter"
	Name string `json:"name"`

	// namespace in which the environment's objects are made. It must exist and consent: label it
	// consent.platform.mirubato.com/<namespace>.<name>=true with the namespace and the name of this Microservice.
	// Changing it moves the environment; what was made in the old namespace is removed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="an environment's namespace must be the name of a namespace: a-z, 0-9 and '-'"
	Namespace string `json:"namespace"`

	// cluster that holds the namespace. Default: the operator's own. Changing it moves the environment.
	// +optional
	Cluster *ClusterSpec `json:"cluster,omitempty"`

	// hosts that lead here through the Ingress, or through the Gateway in place of hostnames. Changing them restarts nothing.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",message="must be names such as scores.example.com"
	Hosts []string `json:"hosts,omitempty"`

	// overrides are merged, field by field, over the fields of the same name in spec. References to Secrets and lists are
	// taken whole.
	// +optional
	Overrides *EnvironmentOverrides `json:"overrides,omitempty"`

	// rollout is how a release passes this environment. Default: pods are replaced a few at a time, and the release is verified
	// when all are ready.
	// +optional
	Rollout *RolloutSpec `json:"rollout,omitempty"`
}

// ClusterSpec is another cluster than the operator's own.
type ClusterSpec struct {
	// kubeconfigSecretRef names the Secret, in the Microservice's namespace, that holds a kubeconfig with a token or a client
	// certificate. Default of its key: kubeconfig. What changes in it is noticed within 10 seconds.
	// +required
	KubeconfigSecretRef SecretKeyReference `json:"kubeconfigSecretRef"`
}

// EnvironmentOverrides are what differs in one environment.
type EnvironmentOverrides struct {
	// workload differs from spec.workload. Changing it replaces the pods of this environment.
	// +optional
	Workload *WorkloadSpec `json:"workload,omitempty"`
	// auth differs from spec.auth. Changing it replaces the pods of this environment.
	// +optional
	Auth *AuthSpec `json:"auth,omitempty"`
	// database differs from spec.database. Changing it runs the migrations again and replaces the pods of this environment.
	// +optional
	Database *DatabaseSpec `json:"database,omitempty"`
	// storage differs from spec.storage. Changing it replaces the pods of this environment, and moves no file.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty"`
	// settings differ from spec.settings; its lists are taken whole. They take effect in running pods of this environment.
	// +optional
	Settings *settings.Settings `json:"settings,omitempty"`
}

// AuthSpec is how the service verifies tokens.
type AuthSpec struct {
	// secretRef names the Secret, in each environment's namespace, that holds the signing secret: at least 32 bytes. Default
	// of its key: secret.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
	// previousSecretRef names the secret used before. Tokens signed with it are still accepted, none is issued. Set it for
	// the length of a rotation. Default of its key: secret.
	// +optional
	PreviousSecretRef *SecretKeyReference `json:"previousSecretRef,omitempty"`
	// issuer that a token must carry as iss. Empty accepts any.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Issuer *string `json:"issuer,omitempty"`
	// audience that a token must carry as aud. Empty accepts any.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Audience *string `json:"audience,omitempty"`
}

// DatabaseSpec is the PostgreSQL database of a service.
//
// +kubebuilder:validation:XValidation:rule="!has(self.rehearsal) || self.rehearsal != 'Data' || !has(self.backup) || !has(self.backup.cloudNativePG) && !has(self.backup.volumeSnapshot)",message="rehearsal Data takes the dump of backup.claimName or s3; choose Schema or None"
type DatabaseSpec struct {
	// secretRef names the Secret, in each environment's namespace, that holds the connection URL of the role that the
	// service runs as. Default of its key: url.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
	// migrationSecretRef names the Secret that holds the connection URL of the role that changes the schema.
	// Default: secretRef. Default of its key: url.
	// +optional
	MigrationSecretRef *SecretKeyReference `json:"migrationSecretRef,omitempty"`
	// migrations is how the schema is brought to what the image needs, before its pods start.
	// +optional
	Migrations *MigrationSpec `json:"migrations,omitempty"`
	// backup is made before migrations change the schema and, with claimName or s3, restored and compared. Default: none.
	// +optional
	Backup *BackupSpec `json:"backup,omitempty"`
	// rehearsal is what migrations are tried on first: Data, the backup restored; Schema, a copy without rows; None. Default: Data.
	// Without a backup Data is None, with one that is no dump Schema. It takes up to 1Gi of memory, and scratch space, of a node.
	// +optional
	Rehearsal *Rehearsal `json:"rehearsal,omitempty"`
}

// BackupSpec is where backups lie, or who makes them, and how many are kept.
//
// +kubebuilder:validation:XValidation:rule="[has(self.claimName), has(self.s3), has(self.cloudNativePG), has(self.volumeSnapshot)].filter(f, f).size() < 2",message="set one of claimName, s3, cloudNativePG, volumeSnapshot"
// +kubebuilder:validation:XValidation:rule="!has(self.s3) || has(self.s3.bucket)",message="backup.s3.bucket is required: name the bucket that holds the backups"
type BackupSpec struct {
	// claimName of a PersistentVolumeClaim in each environment's namespace, for the backups of this database only. Empty, as in
	// overrides, makes none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == '' || !format.dns1123Subdomain().validate(self).hasValue()",message="claimName must be the name of a PersistentVolumeClaim"
	ClaimName *string `json:"claimName,omitempty"`
	// s3 is a bucket for backups, in place of claimName. Keys begin with prefix and then NAMESPACE/NAME/ENVIRONMENT/ of the Microservice.
	// Changing it moves no backup.
	// +optional
	S3 *S3Spec `json:"s3,omitempty"`
	// cloudNativePG is a Backup of a Cluster, which nobody restores and compares.
	// +optional
	CloudNativePG *CloudNativePGSpec `json:"cloudNativePG,omitempty"`
	// volumeSnapshot is one of a claim, which nobody restores and compares.
	// +optional
	VolumeSnapshot *VolumeSnapshotSpec `json:"volumeSnapshot,omitempty"`
	// retain is how many backups are kept, the new one included. Default: 5.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Retain *int32 `json:"retain,omitempty"`
	// scratch bounds the space, on a node, for the copy that is restored. Default: as much as the node has.
	// +optional
	Scratch *resource.Quantity `json:"scratch,omitempty"`
}

// CloudNativePGSpec is a Backup of a Cluster of CloudNativePG.
type CloudNativePGSpec struct {
	// cluster in each environment's namespace.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9]{0,62}$`
	Cluster string `json:"cluster"`
	// method: barmanObjectStore (the default), volumeSnapshot, or a plugin such as barman-cloud.cloudnative-pg.io.
	// +optional
	// +kubebuilder:validation:Pattern=`^(barmanObjectStore|volumeSnapshot|[-a-z0-9]+[.][-a-z0-9.]{1,200})$`
	Method *string `json:"method,omitempty"`
}

// VolumeSnapshotSpec is a VolumeSnapshot of a claim.
type VolumeSnapshotSpec struct {
	// claimName of the claim, in each environment's namespace, that holds both data and write-ahead log.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]{0,252}$`
	ClaimName string `json:"claimName"`
	// className of the VolumeSnapshotClass. Default: that of the cluster.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]{0,252}$`
	ClassName *string `json:"className,omitempty"`
}

// Rehearsal is what migrations are tried on before they change the database.
// +kubebuilder:validation:Enum=Schema;Data;None
type Rehearsal string

// The kinds of rehearsal.
const (
	RehearseSchema Rehearsal = "Schema"
	RehearseData   Rehearsal = "Data"
	RehearseNone   Rehearsal = "None"
)

// SecretKeyReference names one key of a Secret in an environment's namespace. The Secret is mounted, never copied.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// key within the Secret. The default depends on the field that holds this reference.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}
