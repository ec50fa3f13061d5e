package environment

import (
	"cmp"
	"slices"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/controllers/restricted"
)

// secretMount is a directory of Secrets in the service's container.
type secretMount struct {
	name, dir string
	files     []restricted.SecretFile
}

func secretMounts(content Content) []secretMount {
	var out []secretMount
	if database := content.Database; database != nil {
		out = append(out, secretMount{name: "database", dir: contract.DatabaseDir, files: []restricted.SecretFile{
			{Secret: database.Secret, Path: contract.DatabaseURLFile},
		}})
	}
	if auth := content.Auth; auth != nil {
		mount := secretMount{name: "auth", dir: contract.AuthDir}
		if auth.Secret != nil {
			mount.files = append(mount.files, restricted.SecretFile{Secret: *auth.Secret, Path: contract.AuthSecretFile})
		}
		if auth.Previous != nil {
			mount.files = append(mount.files, restricted.SecretFile{Secret: *auth.Previous, Path: contract.AuthPreviousFile})
		}
		if len(mount.files) > 0 {
			out = append(out, mount)
		}
	}
	if content.Storage.credentials() != nil {
		out = append(out, secretMount{name: "storage", dir: contract.StorageDir, files: []restricted.SecretFile{
			{Secret: *content.Storage.credentials(), Path: contract.StorageCredentialsFile},
		}})
	}
	if own := secretsOfVariables(content); len(own.files) > 0 {
		out = append(out, own)
	}
	return out
}

func secretsOfVariables(content Content) secretMount {
	out := secretMount{name: "secrets", dir: contract.SecretsDir}
	for _, variable := range content.Env {
		if variable.SecretRef != nil {
			out.files = append(out.files, restricted.SecretFile{Secret: *variable.SecretRef, Path: contract.SecretFile(variable.Name)})
		}
	}
	// Another order of the variables is no reason to replace pods.
	slices.SortFunc(out.files, func(a, b restricted.SecretFile) int { return cmp.Compare(a.Path, b.Path) })
	return out
}
