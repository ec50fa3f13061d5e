// Package environment says what one environment holds when it runs a release.
//
// ContentOf merges a release with the environment's overrides; ChildrenOf renders it into objects; the Facts tell what was
// observed of them. What is to be done next is package release's to say. Everything here is pure: the caller reads, writes
// and tells the time.
package environment

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/backup"
	"github.com/mirubato/mirubato/controllers/migration"
	"github.com/mirubato/mirubato/controllers/restricted"
)

// Defaults of the fields of v1alpha1.WorkloadSpec and v1alpha1.DatabaseSpec. They are filled in here and not by the API
// server, because a default in an override would hide the value that it overrides.
const (
	defaultReplicas             = 2
	defaultTargetCPU            = 80
	defaultURLKey               = "url"
	defaultSecretKey            = "secret"
	defaultAdvisoryLockWait     = 30 * time.Second
	defaultStatementLockTimeout = 2 * time.Second
	defaultRetries              = 10
	defaultRetain               = 5
	defaultContractAfter        = 24 * time.Hour
)

// Content is what one environment shall run, with overrides merged and defaults filled in.
type Content struct {
	// Release is the name of the Release.
	Release string
	// Version is the first part of what its pods send in X-Release.
	Version          string
	Image            string
	Scale            Scale
	Requests, Limits corev1.ResourceList
	Env              []v1alpha1.EnvironmentVariable
	ImagePullSecrets []string
	Placement        restricted.Placement
	// Auth is nil for a service without tokens.
	Auth *Auth
	// Database is nil for a service without a database.
	Database *Database
	// Storage is nil for a service without files.
	Storage *Storage
	// NetworkPolicy is nil for pods without limits.
	NetworkPolicy *v1alpha1.NetworkPolicySpec
	// Settings reach running pods and are no part of what the pods are made from. Generation is their number.
	Settings   settings.Settings
	Generation int64
}

// Scale is how many pods there shall be: as many as Min where it equals Max, or else as many as the load takes, which
// somebody else decides.
type Scale struct {
	Min, Max int32
	// TargetCPU is in percent of what the pods request; 0 where the number is fixed. TargetRequests is how many requests a second
	// a pod is to answer; 0 where they are not followed.
	TargetCPU, TargetRequests int32
}

// Follows reports whether the number of pods follows the load.
func (s Scale) Follows() bool { return s.TargetCPU > 0 }

// Auth is how tokens are verified. Secret and Previous may be nil.
type Auth struct {
	Secret, Previous *v1alpha1.SecretKeyReference
	Issuer, Audience string
}

// Database is where the data is and how its schema changes.
type Database struct {
	Secret, MigrationSecret v1alpha1.SecretKeyReference
	Migrations              v1alpha1.MigrationSpec
	// Backup is nil where none is made. Rehearsal is one that can be held: never on data without a dump.
	Backup    *migration.Backup
	Rehearsal v1alpha1.Rehearsal
}

// ContentOf merges an environment's overrides over a release. The number of pods is not part of a release: see ScaleOf.
func ContentOf(release *v1alpha1.Release, environment string, scale Scale) Content {
	spec := &release.Spec
	overrides := v1alpha1.EnvironmentOverrides{}
	for i := range spec.Overrides {
		if spec.Overrides[i].Environment == environment {
			overrides = spec.Overrides[i].EnvironmentOverrides
		}
	}
	workload := mergeWorkload(spec.Workload, overrides.Workload)
	requests, limits := resources(workload.Resources)
	return Content{
		Release:  release.Name,
		Version:  spec.Version,
		Image:    spec.Image,
		Scale:    scale,
		Requests: requests,
		Limits:   limits,
		Env:      workload.Env,
		// A set: another order is no reason to replace pods.
		ImagePullSecrets: slices.Sorted(slices.Values(workload.ImagePullSecrets)),
		Placement: restricted.Placement{
			PriorityClass: or(workload.PriorityClassName, ""),
			NodeSelector:  workload.NodeSelector,
			Tolerations:   workload.Tolerations,
		},
		Auth:          mergeAuth(spec.Auth, overrides.Auth),
		Database:      mergeDatabase(spec.Database, overrides.Database),
		Storage:       mergeStorage(spec.Storage, overrides.Storage),
		NetworkPolicy: spec.NetworkPolicy,
		Settings:      settings.Merge(or(spec.Settings, settings.Settings{}), or(overrides.Settings, settings.Settings{})),
		Generation:    spec.Number,
	}
}

// ScaleOf is how many pods an environment shall have. An environment that names a number has it, and one that scales by itself
// does, whatever the others do.
func ScaleOf(spec *v1alpha1.MicroserviceSpec, environment *v1alpha1.EnvironmentSpec) Scale {
	base, over := spec.Workload, v1alpha1.WorkloadSpec{}
	if environment.Overrides != nil {
		over = or(environment.Overrides.Workload, over)
	}
	switch {
	case over.Replicas != nil:
		return fixed(*over.Replicas)
	case over.Autoscaling != nil:
		return following(*over.Autoscaling, or(base.Autoscaling, v1alpha1.AutoscalingSpec{}))
	case base.Autoscaling != nil:
		return following(*base.Autoscaling, v1alpha1.AutoscalingSpec{})
	}
	return fixed(or(base.Replicas, defaultReplicas))
}

func fixed(replicas int32) Scale { return Scale{Min: replicas, Max: replicas} }

func following(own, base v1alpha1.AutoscalingSpec) Scale {
	return Scale{
		Min:       min(or(cmp.Or(own.Min, base.Min), defaultReplicas), own.Max),
		Max:       own.Max,
		TargetCPU: or(cmp.Or(own.TargetCPU, base.TargetCPU), defaultTargetCPU),

		TargetRequests: or(cmp.Or(own.TargetRequests, base.TargetRequests), 0),
	}
}

func or[T any](value *T, fallback T) T {
	if value == nil {
		return fallback
	}
	return *value
}

func mergeWorkload(base v1alpha1.WorkloadSpec, over *v1alpha1.WorkloadSpec) v1alpha1.WorkloadSpec {
	if over == nil {
		return base
	}
	out := base
	if over.Env != nil {
		out.Env = over.Env
	}
	if over.ImagePullSecrets != nil {
		out.ImagePullSecrets = over.ImagePullSecrets
	}
	if over.NodeSelector != nil {
		out.NodeSelector = over.NodeSelector
	}
	if over.Tolerations != nil {
		out.Tolerations = over.Tolerations
	}
	out.PriorityClassName = cmp.Or(over.PriorityClassName, base.PriorityClassName)
	if over.Resources != nil {
		merged := or(base.Resources, v1alpha1.ResourceSpec{})
		merged.Requests = mergeAmounts(merged.Requests, over.Resources.Requests)
		merged.Limits = mergeAmounts(merged.Limits, over.Resources.Limits)
		out.Resources = &merged
	}
	return out
}

func mergeAmounts(base, over *v1alpha1.ResourceAmounts) *v1alpha1.ResourceAmounts {
	if base == nil || over == nil {
		return cmp.Or(over, base)
	}
	return &v1alpha1.ResourceAmounts{CPU: cmp.Or(over.CPU, base.CPU), Memory: cmp.Or(over.Memory, base.Memory)}
}

// resources fills in the defaults. A memory limit is never below the request, which the API server would refuse.
func resources(spec *v1alpha1.ResourceSpec) (requests, limits corev1.ResourceList) {
	given := or(spec, v1alpha1.ResourceSpec{})
	wanted, bounds := or(given.Requests, v1alpha1.ResourceAmounts{}), or(given.Limits, v1alpha1.ResourceAmounts{})
	requests = corev1.ResourceList{
		corev1.ResourceCPU:    or(wanted.CPU, resource.MustParse("50m")),
		corev1.ResourceMemory: or(wanted.Memory, resource.MustParse("64Mi")),
	}
	limits = corev1.ResourceList{corev1.ResourceMemory: or(bounds.Memory, resource.MustParse("256Mi"))}
	if bounds.CPU != nil {
		limits[corev1.ResourceCPU] = *bounds.CPU
	}
	for name, limit := range limits {
		request := requests[name]
		switch {
		case request.Cmp(limit) <= 0:
		case name == corev1.ResourceMemory && bounds.Memory == nil:
			limits[name] = request
		default:
			requests[name] = limit
		}
	}
	return requests, limits
}

func mergeAuth(base, over *v1alpha1.AuthSpec) *Auth {
	if base == nil {
		return nil
	}
	over = cmp.Or(over, &v1alpha1.AuthSpec{})
	return &Auth{
		Secret:   withKey(cmp.Or(over.SecretRef, base.SecretRef), defaultSecretKey),
		Previous: withKey(cmp.Or(over.PreviousSecretRef, base.PreviousSecretRef), defaultSecretKey),
		Issuer:   or(cmp.Or(over.Issuer, base.Issuer), ""),
		Audience: or(cmp.Or(over.Audience, base.Audience), ""),
	}
}

func mergeDatabase(base, over *v1alpha1.DatabaseSpec) *Database {
	if base == nil {
		return nil
	}
	over = cmp.Or(over, &v1alpha1.DatabaseSpec{})
	secret := withKey(cmp.Or(over.SecretRef, base.SecretRef), defaultURLKey)
	owner := withKey(cmp.Or(over.MigrationSecretRef, base.MigrationSecretRef), defaultURLKey)
	out := &Database{
		Secret:          *secret,
		MigrationSecret: *cmp.Or(owner, secret),
		Migrations: mergeMigrations(
			or(base.Migrations, v1alpha1.MigrationSpec{}),
			or(over.Migrations, v1alpha1.MigrationSpec{})),
		Backup:    mergeBackup(or(base.Backup, v1alpha1.BackupSpec{}), or(over.Backup, v1alpha1.BackupSpec{})),
		Rehearsal: or(cmp.Or(over.Rehearsal, base.Rehearsal), v1alpha1.RehearseData),
	}
	switch {
	case out.Rehearsal != v1alpha1.RehearseData:
	case out.Backup == nil:
		out.Rehearsal = v1alpha1.RehearseNone
	case out.Backup.Asked != nil:
		out.Rehearsal = v1alpha1.RehearseSchema // there is no dump to restore
	}
	return out
}

// mergeBackup takes the way of making backups from the override if it names one, and merges what both say of the same way field by field.
// It returns nil where no way is named, or an override takes it away.
func mergeBackup(base, over v1alpha1.BackupSpec) *migration.Backup {
	out := &migration.Backup{
		Retain:  or(cmp.Or(over.Retain, base.Retain), defaultRetain),
		Scratch: cmp.Or(over.Scratch, base.Scratch),
	}
	way := over
	if over.ClaimName == nil && over.S3 == nil && over.CloudNativePG == nil && over.VolumeSnapshot == nil {
		way = base
	}
	switch {
	case way.S3 != nil:
		at := mergeBucket(or(base.S3, v1alpha1.S3Spec{}), or(over.S3, v1alpha1.S3Spec{}))
		out.Bucket, out.Credentials = at.Bucket, at.Credentials
	case way.CloudNativePG != nil:
		method := cmp.Or(way.CloudNativePG.Method, or(base.CloudNativePG, v1alpha1.CloudNativePGSpec{}).Method)
		out.Asked = &backup.Source{Method: v1alpha1.BackupCloudNativePG, Of: way.CloudNativePG.Cluster, Way: or(method, "")}
	case way.VolumeSnapshot != nil:
		class := cmp.Or(way.VolumeSnapshot.ClassName, or(base.VolumeSnapshot, v1alpha1.VolumeSnapshotSpec{}).ClassName)
		out.Asked = &backup.Source{Method: v1alpha1.BackupVolumeSnapshot, Of: way.VolumeSnapshot.ClaimName, Class: or(class, "")}
	case or(way.ClaimName, "") != "":
		out.Claim = *way.ClaimName
	default:
		return nil
	}
	return out
}

func mergeMigrations(base, over v1alpha1.MigrationSpec) v1alpha1.MigrationSpec {
	retries := int32(defaultRetries)
	out := v1alpha1.MigrationSpec{
		ExportCommand:        over.ExportCommand,
		AdvisoryLockWait:     cmp.Or(over.AdvisoryLockWait, base.AdvisoryLockWait, &metav1.Duration{Duration: defaultAdvisoryLockWait}),
		StatementLockTimeout: cmp.Or(over.StatementLockTimeout, base.StatementLockTimeout, &metav1.Duration{Duration: defaultStatementLockTimeout}),
		Retries:              cmp.Or(over.Retries, base.Retries, &retries),
		ContractAfter:        cmp.Or(over.ContractAfter, base.ContractAfter, &metav1.Duration{Duration: defaultContractAfter}),
	}
	if out.ExportCommand == nil {
		out.ExportCommand = base.ExportCommand
	}
	return out
}

func withKey(reference *v1alpha1.SecretKeyReference, key string) *v1alpha1.SecretKeyReference {
	if reference == nil {
		return nil
	}
	return &v1alpha1.SecretKeyReference{Name: reference.Name, Key: cmp.Or(reference.Key, key)}
}
