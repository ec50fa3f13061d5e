package environment

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
)

// Facts is what was observed of one environment, at one time.
type Facts struct {
	Namespace NamespaceFacts
	// Live are the environment's own objects except Jobs and Pods, by kind and name.
	Live map[ObjectKey]client.Object
	// Foreign are objects that bear a name that the operator would use and belong to somebody else.
	Foreign []ObjectKey
	// MissingSecrets are references that lead nowhere. They are looked up only while something is about to change or not
	// ready: what runs well has its Secrets.
	MissingSecrets []MissingSecret
	// Claim is what is known of the claim of the storage; looked up when Secrets are.
	Claim ClaimFacts
	// SettingsSize is how many bytes the generations of settings have that pods may ask for.
	SettingsSize int
	Jobs         []batchv1.Job
	// Pods of the service and of its migrations.
	Pods []corev1.Pod
}

// ObjectKey names an object within the environment's namespace.
type ObjectKey struct{ Kind, Name string }

// KeyOf returns the key of a manifest.
func KeyOf(m manifest.Manifest) ObjectKey { return ObjectKey{Kind: m.Kind(), Name: m.Name()} }

// NamespaceFacts is what is known of the environment's namespace.
type NamespaceFacts struct {
	Exists, Terminating, Consents bool
	// Outside is true if the operator is limited to other namespaces, so that whether this one consents does not matter.
	Outside bool
	// ConsentLabel is the label that is missing if it does not consent.
	ConsentLabel string
}

// MissingSecret is a Secret, or a key of it, that does not exist.
type MissingSecret struct {
	v1alpha1.SecretKeyReference
	// Exists is true if the Secret is there and only the key is missing or empty.
	Exists bool
	// Field of the spec that refers to it.
	Field string
}

// ClaimFacts is what is known of a PersistentVolumeClaim. The zero value is one that nobody needs.
type ClaimFacts struct {
	Name           string
	Exists, Shared bool
}

// Deployment returns the live Deployment of that name, or nil.
func (f Facts) Deployment(name string) *appsv1.Deployment {
	live, _ := f.Live[ObjectKey{Kind: "Deployment", Name: name}].(*appsv1.Deployment)
	return live
}

// SecretUse is a Secret that the content refers to, and the field that does.
type SecretUse struct {
	Secret v1alpha1.SecretKeyReference
	Field  string
}

// SecretUses returns every Secret that must exist before the content can run.
func SecretUses(content Content) []SecretUse {
	var out []SecretUse
	if database := content.Database; database != nil {
		out = append(out, SecretUse{database.Secret, "database.secretRef"})
		if database.MigrationSecret != database.Secret {
			out = append(out, SecretUse{database.MigrationSecret, "database.migrationSecretRef"})
		}
		if database.Backup != nil && database.Backup.Credentials != nil {
			out = append(out, SecretUse{*database.Backup.Credentials, "database.backup.s3.secretRef"})
		}
	}
	if auth := content.Auth; auth != nil {
		if auth.Secret != nil {
			out = append(out, SecretUse{*auth.Secret, "auth.secretRef"})
		}
		if auth.Previous != nil {
			out = append(out, SecretUse{*auth.Previous, "auth.previousSecretRef"})
		}
	}
	if content.Storage.credentials() != nil {
		out = append(out, SecretUse{*content.Storage.credentials(), "storage.s3.secretRef"})
	}
	for _, variable := range content.Env {
		if variable.SecretRef != nil {
			out = append(out, SecretUse{*variable.SecretRef, "workload.env[" + variable.Name + "].secretRef"})
		}
	}
	return out
}
