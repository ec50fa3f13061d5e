package recipe

import (
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// What an image is for, in a sentence.
var descriptions = map[string]string{
	"operator": "Carries Microservices through their environments, migrations and settings included",
	"scores":   "A library of sheet music: the sample service that Mirubato runs",
	"migrate":  "Migrations, backups and rehearsals of PostgreSQL databases",
	"pause":    "Holds the namespaces of a pod open",
	"postgres": "A PostgreSQL server that finds its databases in a file",
}

// ours are the images that hold nothing but programs of this repository. The others have the licences of Debian's packages as well, which
// each package tells by itself.
var ours = map[string]bool{"operator": true, "scores": true, "pause": true}

// labels say what an image is, by the names that the OCI has given them.
func labels(options Options, name string) map[string]string {
	out := map[string]string{
		v1.AnnotationTitle:       "mirubato-" + name,
		v1.AnnotationDescription: descriptions[name],
		v1.AnnotationVersion:     options.Version,
		v1.AnnotationVendor:      "Mirubato",
	}
	if ours[name] {
		out[v1.AnnotationLicenses] = "Apache-2.0"
	}
	if options.Source != "" {
		out[v1.AnnotationSource] = options.Source
	}
	if options.Revision != "" {
		out[v1.AnnotationRevision] = options.Revision
	}
	if !options.Created.IsZero() {
		out[v1.AnnotationCreated] = options.Created.UTC().Format(time.RFC3339)
	}
	return out
}
